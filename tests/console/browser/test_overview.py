"""The Overview in a browser: menus, refreshes, and what is done from it."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from spool.alerts import watching
from spool.models import AlertKind, AlertRule, Entry, TrafficTotal
from spool.traffic import rollup
from tests.console.browser.conftest import Console, serious_violations
from tests.support.demo_traffic import FLOODER, FLOODING_IP, count_a_day
from tests.support.messages import a_submission
from tests.support.spool_states import take_in
from tests.support.waiting import wait_until

pytestmark = pytest.mark.alike

OVERVIEW = "/admin/"


@pytest.fixture
def overview(console: Console) -> Page:
    count_a_day(timezone.now())
    AlertRule.objects.create(name="Floods", kind=AlertKind.SENDER, threshold=100, minutes=10)
    watching.look(timezone.now())
    return console.open(OVERVIEW)


def row(page: Page, table: str, key: str) -> str:
    return f'[data-table="{table}"] tr[data-key="{key}"]'


def open_menu(page: Page, table: str, key: str) -> None:
    page.locator(row(page, table, key)).get_by_role("button").click()
    expect(page.locator("#row-menu")).to_be_visible()


def test_an_open_menu_stays_open_while_the_numbers_change(overview: Page) -> None:
    open_menu(overview, "outbound-senders", FLOODER)
    number = overview.locator(f"{row(overview, 'outbound-senders', FLOODER)} td.num").last
    before = number.inner_text()
    TrafficTotal.objects.filter(key=FLOODER).update(total=7_654_321)
    overview.evaluate("window.msRefresh()")
    expect(number).to_have_text("7,654,321")
    assert before != "7,654,321"
    expect(overview.locator("#row-menu")).to_be_visible()
    expect(overview.locator("#row-menu header")).to_have_text(FLOODER)
    overview.keyboard.press("Escape")
    expect(overview.locator("#row-menu")).to_be_hidden()
    assert overview.evaluate("document.activeElement.dataset.menu").endswith("dmitri%40example.org")


def test_a_menu_works_by_keyboard_alone(overview: Page) -> None:
    overview.locator(row(overview, "outbound-ips", FLOODING_IP)).get_by_role("button").focus()
    overview.keyboard.press("Enter")
    expect(overview.locator("#row-menu")).to_be_visible()
    labels = overview.locator("#row-menu [role=menuitem]").all_inner_texts()
    overview.keyboard.press("ArrowUp")
    assert overview.evaluate("document.activeElement.textContent").endswith("Move Messages")
    assert any("Delete Messages" in label for label in labels)
    overview.keyboard.press("Enter")
    expect(overview.locator("#confirm")).to_contain_text("Move Messages: 0 messages")


def test_the_messages_of_a_row_are_deleted_and_put_back(overview: Page) -> None:
    take_in(*[a_submission(FLOODER, f"victim{n}@elsewhere.example") for n in range(5)], a_submission("ann@example.org"))
    open_menu(overview, "outbound-senders", FLOODER)
    overview.get_by_role("menuitem", name="Delete Messages").click()
    expect(overview.locator("#confirm")).to_contain_text("Delete: 5 messages")
    overview.locator("#confirm").get_by_role("button", name="Delete 5").click()
    expect(overview.locator("#results")).to_contain_text("5 deleted")
    assert list(Entry.objects.values_list("sender", flat=True)) == ["ann@example.org"]
    overview.locator("#results").get_by_role("button", name="Undo").click()
    expect(overview.locator("#results")).to_contain_text("5")
    wait_until(lambda: Entry.objects.count() == 6, "all five are back", 30)


def test_the_messages_of_a_row_are_moved_to_a_folder(overview: Page) -> None:
    take_in(*[a_submission(FLOODER, f"victim{n}@elsewhere.example") for n in range(3)])
    open_menu(overview, "outbound-senders", FLOODER)
    overview.get_by_role("menuitem", name="Move Messages").click()
    expect(overview.get_by_label("Folder")).not_to_have_value("")
    overview.locator("#confirm").get_by_role("button", name="Move 3").click()
    expect(overview.locator("#results")).to_contain_text("3 moved")
    assert not Entry.objects.exists()


def test_a_number_leads_to_its_messages_and_back(overview: Page) -> None:
    overview.locator(f"{row(overview, 'outbound-ips', FLOODING_IP)} td.num a").first.click()
    expect(overview).to_have_title(re.compile("Top Outbound IP Addresses"))
    overview.get_by_role("navigation", name="Window").get_by_role("link", name="24 hours").click()
    expect(overview.locator("body")).to_contain_text(FLOODING_IP)
    overview.locator("main .ms-quiet").get_by_role("link", name="Overview").click()
    expect(overview.locator("#t-activity")).to_be_visible()


def test_an_alert_that_goes_on_leads_to_the_messages_it_is_about(overview: Page) -> None:
    take_in(a_submission(FLOODER), a_submission("ann@example.org"))
    overview.get_by_role("region", name="Needs attention").get_by_role(
        "link", name=re.compile(f"^{re.escape(FLOODER)}")
    ).click()
    overview.get_by_role("link", name="Show messages").click()
    expect(overview.locator(".ms-entry")).to_have_count(1)


def test_the_charts_take_their_range_along_when_the_page_refreshes(overview: Page) -> None:
    overview.locator(".ov-ranges").get_by_role("link", name="1 hour").click()
    expect(overview.locator(".ov-ranges [aria-current]")).to_have_text("1 hour")
    overview.evaluate("window.msRefresh()")
    overview.wait_for_load_state("networkidle")
    assert overview.locator(".ov-charts .ov-hover").count() == 3 * 59 + 60


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nobody_is_shut_out_of_it(overview: Page, theme: str) -> None:
    overview.evaluate(f"localStorage.setItem('adminTheme', JSON.stringify('{theme}'))")
    overview.reload()
    open_menu(overview, "outbound-senders", FLOODER)
    assert serious_violations(overview, "#spool-console") == []


def test_on_a_phone_nothing_is_cut_off(overview: Page) -> None:
    overview.set_viewport_size({"width": 390, "height": 844})
    overview.reload()
    assert overview.evaluate("document.documentElement.scrollWidth") <= 390
    open_menu(overview, "inbound-domains", "shop.example")
    box = overview.locator("#row-menu").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


def test_nothing_is_counted_twice_by_looking(overview: Page) -> None:
    before = TrafficTotal.objects.get(kind=2, key="-").total
    overview.reload()
    rollup.roll_up()
    assert TrafficTotal.objects.get(kind=2, key="-").total == before


def test_a_menu_that_could_not_be_fetched_opens_at_the_next_click(overview: Page) -> None:
    overview.route("**/menu/**", lambda route: route.abort())
    button = overview.locator(row(overview, "outbound-senders", FLOODER)).get_by_role("button")
    asked = button.get_attribute("data-menu")
    assert asked is not None and "/menu/" in asked
    button.click()
    expect(overview.get_by_role("alert")).to_contain_text("The server was not reached")
    overview.unroute("**/menu/**")
    button.click()
    expect(overview.locator("#row-menu")).to_be_visible()
