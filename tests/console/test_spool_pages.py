"""The spool's lists, popup, actions, backlog, trace and audit, as a browser asks for them."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import actions as accounts
from accounts.models import Role, User
from mailspool.home import Home
from security.models import LoginRules
from spool.console.columns import OF_ENTRIES
from spool.files import store
from spool.models import AuditEvent, BulkJob, Entry, ListLayout, Outcome, Recipient, SavedView
from tests.console.conftest import PASSWORD
from tests.support.messages import a_message, a_submission
from tests.support.spool_states import attempt, take_in

pytestmark = [pytest.mark.both, pytest.mark.django_db, pytest.mark.usefixtures("redis", "home")]
SPOOL, WAITING = "admin:spool_entry_changelist", "admin:spool_entry_waiting"


def page(client: Client, name: str, *args: Any, **query: Any) -> str:
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200, (name, answer.status_code)
    return unescape(answer.content.decode())


def do(client: Client, action: str, entries: list[Entry], **values: str) -> Any:
    chosen = {"ids": ",".join(str(entry.pk) for entry in entries)}
    return client.post(
        reverse("admin:spool_entry_perform", args=[action]), chosen | {f"p-{k}": v for k, v in values.items()}
    )


def test_the_spool_shows_every_column_of_every_entry(administrator: Client) -> None:
    (entry,) = take_in(a_submission("ann@example.org", ["b@example.net", "c@example.net"], size=20_000))
    arrange(administrator, SPOOL, *(column.name for column in OF_ENTRIES.columns))
    text = page(administrator, SPOOL)
    for column in (
        "Filename",
        "Spool Path",
        "Sender",
        "Recipient",
        "Destination",
        "b@example.net",
        "and 1 more",
        "Recipients",
        "Size",
        "Attempts",
        "Time in Spool",
        "Priority",
        "Status",
        "Next Attempt",
        entry.file_name,
        entry.subspool,
        "ann@example.org",
        "0 / 2",
        "20 KB",
        "Normal",
        "Delivery Delay",
        "Lunch on Friday",
    ):
        assert column in text


def titles(client: Client, name: str) -> list[str]:
    return [heading.title for heading in client.get(reverse(name)).context["listing"].headings]


def arrange(client: Client, name: str, *columns: str, **more: str) -> None:
    """Choose how a list looks."""
    answer = client.post(reverse("admin:spool_entry_save_layout"), {"page": name, "column": columns, **more})
    assert answer.status_code == 302


def test_everybody_arranges_each_list_for_themselves(administrator: Client) -> None:
    take_in(*[a_submission(subject=f"number {number}") for number in range(30)])
    assert titles(administrator, SPOOL)[:3] == ["Sender", "Recipient", "Destination"]
    assert "Filename" not in titles(administrator, SPOOL) and "Spool Path" not in titles(administrator, SPOOL)
    arrange(administrator, SPOOL, "path", "file-name", "nothing", "sender", density="compact", page_size="25")
    assert titles(administrator, SPOOL) == ["Spool Path", "Filename", "Sender"]
    listing = administrator.get(reverse(SPOOL)).context["listing"]
    assert len(listing.entries) == 25 and listing.following
    assert "ms-list compact" in page(administrator, SPOOL)
    # The other list, and the same of somebody else, look as before.
    assert titles(administrator, WAITING)[0] == "Sender"
    other = Client()
    other.force_login(User.objects.create_user("zoe@example.org", PASSWORD, role=Role.SYSTEM_ADMINISTRATOR))
    assert titles(other, SPOOL)[:2] == ["Sender", "Recipient"] and "ms-list comfortable" in page(other, SPOOL)
    # What does not exist is as if it were not chosen; without any column it looks as at first.
    arrange(administrator, SPOOL, "nothing", density="huge", page_size="1000000")
    assert titles(administrator, SPOOL)[:3] == ["Sender", "Recipient", "Destination"]
    arrange(administrator, SPOOL, "size", page_size="100")
    arrange(administrator, SPOOL, reset="1")
    assert not ListLayout.objects.exists()


def test_a_list_says_to_whom_in_one_query_whatever_its_length(
    administrator: Client, django_assert_max_num_queries: Any
) -> None:
    take_in(*[a_submission(to=[f"a{n}@example.net", "b@example.com"]) for n in range(40)])
    Entry.objects.filter(pk=Entry.objects.first().pk).update(next_hop="relay.example")  # type: ignore[union-attr]
    administrator.get(reverse(SPOOL))
    with CaptureQueriesContext(connection) as asked:
        text = page(administrator, SPOOL)
    assert sum("spool_recipient" in one["sql"] for one in asked.captured_queries) == 1
    assert text.count("and 1 more") == 40 and "a39@example.net" in text and "relay.example" in text


def test_a_list_is_grouped_and_acts_on_a_group_by_its_filter(
    administrator: Client, django_assert_max_num_queries: Any
) -> None:
    take_in(
        *[a_submission("ann@example.org", "bob@a.example", subject="Offer") for _ in range(3)],
        *[a_submission("ann@example.org", "bob@b.example", subject="Offer 2") for _ in range(2)],
        a_submission("", "bob@b.example", subject=""),
        a_submission("*@example.org", "bob@b.example"),
    )
    administrator.get(reverse(SPOOL))
    with django_assert_max_num_queries(18):
        text = page(administrator, SPOOL, group="subject", domain="a.example")
    assert "Groups of messages" in text and "Offer" in text and "Offer 2" not in text
    grouped = administrator.get(reverse(SPOOL), {"group": "subject", "sender": "ann@example.org"}).context["grouped"]
    assert [(row.text, row.number) for row in grouped.rows] == [("Offer", 3), ("Offer 2", 2)]
    menu = administrator.get(reverse("messages_menu"), {"page": SPOOL, "query": grouped.rows[0].query})
    text = unescape(menu.content.decode())
    assert "Messages from ann@example.org, with the subject “Offer”" in text
    assert reverse("admin:spool_entry_dialog", args=["delete"]) in text and "exact-subject=Offer" in text
    whole = {"all": "1", "query": grouped.rows[0].query, "page": SPOOL}
    dialog = administrator.post(reverse("admin:spool_entry_dialog", args=["delete"]), whole)
    assert "Delete: 3 messages" in dialog.content.decode()
    administrator.post(reverse("admin:spool_entry_perform", args=["delete"]), whole)
    assert sorted(Entry.objects.values_list("subject", flat=True)) == ["", "Lunch on Friday", "Offer 2", "Offer 2"]
    # What no filter can mean exactly has no actions.
    rows = administrator.get(reverse(SPOOL), {"group": "sender"}).context["grouped"].rows
    queries = {row.text: row.query for row in rows}
    assert queries["*@example.org"] == "" and queries["<> (null sender)"] == "sender=%3C%3E"
    assert administrator.get(reverse("messages_menu"), {"page": SPOOL, "query": "sendr=x"}).status_code == 404
    assert administrator.get(reverse("messages_menu"), {"page": "nowhere", "query": ""}).status_code == 404
    assert "ms-groups" not in page(administrator, SPOOL, group="nothing")
    assert "Nothing matches" in page(administrator, SPOOL, group="sender", sender="nobody@example.org")


def test_waiting_to_deliver_shows_only_what_waits_and_why(administrator: Client) -> None:
    waiting, _fresh = take_in(a_submission("waits@example.org"), a_submission("fresh@example.org"))
    attempt([waiting], "451 4.3.0 Come back later")
    text = page(administrator, WAITING)
    assert "waits@example.org" in text and "451 4.3.0 Come back later" in text
    assert "fresh@example.org" not in text
    assert "fresh@example.org" in page(administrator, SPOOL)


def test_the_tabs_count_what_is_in_them(administrator: Client) -> None:
    entries = take_in(*[a_submission() for _ in range(5)])
    attempt(entries[:2])
    tabs = administrator.get(reverse(SPOOL)).context["tabs"]
    assert {("Spool", "5"), ("Waiting to Deliver", "2")} <= {(tab.title, tab.count) for tab in tabs}


def test_empty_lists_say_what_would_appear_and_how_to_make_it(administrator: Client) -> None:
    assert "The spool is empty" in page(administrator, SPOOL) and "manage.py send" in page(administrator, SPOOL)
    assert "Nothing waits" in page(administrator, WAITING)
    assert "Nothing matches" in page(administrator, SPOOL, sender="nobody@example.org")


@pytest.mark.parametrize("url", [SPOOL, WAITING])
def test_a_list_costs_the_same_queries_however_long_it_is(
    administrator: Client, django_assert_max_num_queries: Any, url: str
) -> None:
    attempt(take_in(*[a_submission() for _ in range(60)]))
    # What a process reads once, and remembers.
    administrator.get(reverse(url))
    with django_assert_max_num_queries(14):
        administrator.get(reverse(url))


def test_a_refresh_brings_the_table_and_the_counts_and_nothing_else(administrator: Client) -> None:
    take_in()
    text = administrator.get(reverse(SPOOL), headers={"HX-Request": "true"}).content.decode()
    assert 'id="live"' in text and 'id="ms-tabs"' in text and "hx-swap-oob" in text
    assert "<html" not in text and "nav-sidebar" not in text


@pytest.mark.parametrize("sort", ["", "-id", "id", "-size_bytes", "attempts", "next_attempt"])
def test_pages_lead_forth_and_back_through_every_entry_once(administrator: Client, sort: str) -> None:
    entries = take_in(*[a_submission(size=1000 + 10 * (i % 7)) for i in range(120)])
    attempt(entries)
    seen: list[list[int]] = []
    query: dict[str, str] = {"sort": sort} if sort else {}
    url = f"{reverse(WAITING)}?{'&'.join(f'{k}={v}' for k, v in query.items())}"
    while url:
        shown = administrator.get(url).context["listing"]
        seen.append([entry.pk for entry in shown.entries])
        url = f"{reverse(WAITING)}?{shown.following}" if shown.following else ""
    assert [len(ids) for ids in seen] == [50, 50, 20]
    assert len({pk for ids in seen for pk in ids}) == 120
    for expected in (seen[1], seen[0]):
        shown = administrator.get(f"{reverse(WAITING)}?{shown.previous}").context["listing"]
        assert [entry.pk for entry in shown.entries] == expected
    assert not shown.previous


@pytest.mark.parametrize(
    ("typed", "understood", "parameter"),
    [
        ("ann@example.org", "From ann@example.org", "sender=ann%40example.org"),
        ("@example.org", "From the domain example.org", "sender-domain=example.org"),
        ("example.net", "To the domain example.net", "domain=example.net"),
        ("192.0.2.7", "That came from 192.0.2.7", "ip=192.0.2.7"),
        ("lunch friday", "With “lunch friday” in the subject", "subject=lunch+friday"),
        ("<1@example.org>", "With the Message-ID <1@example.org>", "message-id="),
        ("larger:10KB", "Larger than 10KB", "larger=10KB"),
    ],
)
def test_the_search_box_says_what_it_understood_and_puts_it_into_the_address(
    administrator: Client, typed: str, understood: str, parameter: str
) -> None:
    take_in(a_submission("ann@example.org", "bob@example.net"))
    answer = administrator.get(reverse(SPOOL), {"q": typed}, follow=True)
    assert parameter in answer.redirect_chain[-1][0]
    assert understood in unescape(answer.content.decode())


def test_a_search_that_makes_no_sense_is_answered_with_a_sentence(administrator: Client) -> None:
    answer = administrator.get(reverse(SPOOL), {"q": "older:soon"}, follow=True)
    assert "is not an age; write 30m, 2h or 3d" in unescape(answer.content.decode())
    assert "is not a size" in page(administrator, SPOOL, larger="huge")
    take_in(a_submission(subject="foo:bar"))
    refused = page(administrator, SPOOL, q="foo:bar")
    assert "There is no operator foo:" in refused and 'value="foo:bar"' in refused and "ms-entry" not in refused
    assert "Did you mean sender?" in page(administrator, SPOOL, sendr="ann@example.org")
    assert "That place in the list does not exist" in page(administrator, SPOOL, after="nowhere")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"sender": "ann@example.org"}, {"a"}),
        ({"recipient": "bob@down.example"}, {"b"}),
        ({"domain": "down.example"}, {"b"}),
        ({"status": "waiting"}, {"b"}),
        ({"priority": "high"}, {"a"}),
        ({"hold": "yes"}, {"c"}),
        ({"larger": "50KB"}, {"c"}),
        ({"min-attempts": "1"}, {"b"}),
        ({"error": "refused"}, {"b"}),
        ({"older": "1h"}, {"a"}),
        ({"subject": "special"}, {"c"}),
        ({"direction": "inbound"}, set()),
        ({"direction": "outbound", "hold": "no"}, {"a", "b"}),
    ],
)
def test_each_filter_finds_what_it_says(administrator: Client, query: dict[str, str], found: set[str]) -> None:
    a, b, c = take_in(
        a_submission("ann@example.org"),
        a_submission("ben@example.org", "bob@down.example"),
        a_submission("cat@example.org", subject="Something special", size=60_000),
    )
    attempt([b], "Connection refused")
    long_ago = timezone.now() - timedelta(hours=2)
    Entry.objects.filter(pk=a.pk).update(priority=3, created=long_ago)
    Entry.objects.filter(pk=c.pk).update(hold=True, due_at=None)
    shown = administrator.get(reverse(SPOOL), query).context["listing"]
    names = {a.pk: "a", b.pk: "b", c.pk: "c"}
    assert {names[entry.pk] for entry in shown.entries} == found


def test_a_view_is_saved_for_one_user_and_can_be_removed(administrator: Client, client: Client) -> None:
    kept = {"page": WAITING, "name": "Down hosts", "query": "error=refused"}
    administrator.post(reverse("admin:spool_entry_save_view"), kept)
    assert "Down hosts" in page(administrator, WAITING)
    assert "Down hosts" not in page(administrator, SPOOL)
    other = Client()
    other.force_login(accounts.add_user("second@localhost", PASSWORD, role=Role.SYSTEM_ADMINISTRATOR))
    assert "Down hosts" not in page(other, WAITING)
    other.post(reverse("admin:spool_entry_forget_view", args=[SavedView.objects.get().pk]))
    assert SavedView.objects.count() == 1
    administrator.post(reverse("admin:spool_entry_forget_view", args=[SavedView.objects.get().pk]))
    assert not SavedView.objects.exists()


def test_the_popup_tells_all_about_a_message(administrator: Client, django_assert_max_num_queries: Any) -> None:
    (entry,) = take_in(a_submission("ann@example.org", ["bob@example.net", "eve@example.net"]))
    attempt([entry], "452 4.2.2 Mailbox full", only=["eve@example.net"])
    url = reverse("admin:spool_entry_message", args=[entry.file_name])
    with django_assert_max_num_queries(12):
        text = unescape(administrator.get(url, headers={"HX-Request": "true"}).content.decode())
    for part in (
        "1 of 2 recipients not delivered yet",
        "answered “452 4.2.2 Mailbox full”",
        "mailbox is full",
        "bob@example.net",
        "Delivered",
        "eve@example.net",
        "Pending",
        "mx1.example.net",
        "TLSv1.3",
        "192.0.2.7",
        "client.example.org",
        "1 / 2 delivered",
        "Message-ID",
        f"{entry.subspool}/{entry.file_name}",
        "Download .eml",
    ):
        assert part in text, part
    assert "<html" not in text
    whole = page(administrator, "admin:spool_entry_message", entry.file_name)
    assert "<title>" in whole and "Lunch on Friday | Mailspool" in " ".join(whole.split())


def test_many_recipients_come_a_page_at_a_time(administrator: Client) -> None:
    (entry,) = take_in(a_submission(to=[f"r{i}@example.net" for i in range(120)]))
    text = page(administrator, "admin:spool_entry_message", entry.file_name)
    assert "r49@example.net" in text and "r50@example.net" not in text
    text = page(administrator, "admin:spool_entry_recipients", entry.file_name, after=50)
    assert "r50@example.net" in text and "r99@example.net" in text and "r100@example.net" not in text
    assert "r119@example.net" in page(administrator, "admin:spool_entry_recipients", entry.file_name, after=100)


def test_the_recipients_that_keep_a_message_come_first(administrator: Client) -> None:
    (entry,) = take_in(a_submission(to=[f"r{i}@example.net" for i in range(60)]))
    attempt([entry], "451 4.3.0 Busy", only=["r57@example.net"])
    text = page(administrator, "admin:spool_entry_message", entry.file_name)
    assert text.index("r57@example.net") < text.index("r1@example.net")


def test_a_message_that_left_is_said_to_be_gone_with_what_the_trace_knows(administrator: Client) -> None:
    (entry,) = take_in(a_submission("ann@example.org", "bob@example.net"))
    attempt([entry], "250 2.0.0 Queued as 4711", outcome=Outcome.DELIVERED)
    answer = administrator.get(reverse("admin:spool_entry_message", args=[entry.file_name]))
    text = unescape(answer.content.decode())
    assert answer.status_code == 404
    for part in ("Message no longer exists", "250 2.0.0 Queued as 4711", "bob@example.net", "Delivered", "192.0.2.7"):
        assert part in text


def test_a_name_that_nobody_knows_is_said_to_be_unknown(administrator: Client) -> None:
    answer = administrator.get(reverse("admin:spool_entry_message", args=["0" * 26 + ".eml"]))
    assert answer.status_code == 404 and "Neither the spool nor the trace knows" in answer.content.decode()


def test_a_row_without_a_file_is_said_to_be_an_orphan(administrator: Client) -> None:
    (entry,) = take_in()
    store.path_of(entry.subspool, entry.file_name).unlink()
    text = page(administrator, "admin:spool_entry_message", entry.file_name)
    assert "Its message file is missing from the disk" in text
    for part in ("content", "preview", "source", "download"):
        assert administrator.get(reverse(f"admin:spool_entry_{part}", args=[entry.file_name])).status_code == 404


def test_the_preview_is_a_document_that_may_do_nothing(administrator: Client) -> None:
    (entry,) = take_in(a_submission())
    answer = administrator.get(reverse("admin:spool_entry_preview", args=[entry.file_name]))
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy and policy.endswith("sandbox") and "script-src" not in policy
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    assert "sandbox src=" in page(administrator, "admin:spool_entry_content", entry.file_name)


def test_the_download_is_the_message_byte_for_byte(administrator: Client) -> None:
    content = a_message(subject="Exactly") + bytes(range(128, 256))
    (entry,) = take_in(a_submission(content=content))
    answer = administrator.get(reverse("admin:spool_entry_download", args=[entry.file_name]))
    assert b"".join(answer.streaming_content) == content  # type: ignore[attr-defined]
    assert answer["Content-Disposition"] == f'attachment; filename="{entry.file_name}"'
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_an_action_says_first_how_many_which_and_with_what_effect(administrator: Client) -> None:
    entries = take_in(*[a_submission(f"s{i}@example.org") for i in range(3)])
    url = reverse("admin:spool_entry_dialog", args=["delete"])
    text = unescape(administrator.post(url, {"ids": ",".join(str(e.pk) for e in entries)}).content.decode())
    assert "Delete: 3 messages" in text and "s2@example.org" in text and "This can be undone for 7 days" in text
    text = unescape(administrator.post(url, {"all": "1", "query": "sender=s1%40example.org"}).content.decode())
    assert "Delete: 1 message" in text and "All messages from s1@example.org" in text
    assert Entry.objects.count() == 3


@pytest.mark.parametrize(
    ("action", "values", "changed"),
    [
        ("force", {}, {"priority": 3}),
        ("reset", {}, {"attempts": 0, "status": "delay"}),
        ("priority", {"priority": "low"}, {"priority": 1}),
        ("hold", {"reason": "Looks odd"}, {"hold": True, "hold_reason": "Looks odd"}),
        ("redirect", {"next_hop": "relay.example.net:2525"}, {"next_hop": "relay.example.net:2525"}),
    ],
)
def test_each_action_does_what_it_says(
    administrator: Client, action: str, values: dict[str, str], changed: dict[str, Any]
) -> None:
    (entry,) = take_in()
    attempt([entry])
    answer = do(administrator, action, [entry], **values)
    assert answer["HX-Trigger"] == "ms-done"
    entry.refresh_from_db()
    assert {name: getattr(entry, name) for name in changed} == changed
    assert AuditEvent.objects.get(action=action).actor == "admin@localhost"


def test_release_lets_go_of_what_was_held(administrator: Client) -> None:
    entries = take_in()
    do(administrator, "hold", entries)
    do(administrator, "release", entries)
    assert not Entry.objects.get().hold


def test_deleted_messages_come_back_by_undo(administrator: Client) -> None:
    entries = take_in(*[a_submission() for _ in range(3)])
    text = do(administrator, "delete", entries).content.decode()
    assert "3 deleted" in text and "Undo" in text and not Entry.objects.exists()
    gone = administrator.get(reverse("admin:spool_entry_message", args=[entries[0].file_name]))
    assert "took it out of the spool" in gone.content.decode()
    answer = administrator.post(reverse("admin:spool_entry_undo", args=[AuditEvent.objects.get(action="delete").pk]))
    assert "3 put back" in answer.content.decode()
    assert Entry.objects.count() == 3
    again = administrator.post(reverse("admin:spool_entry_undo", args=[AuditEvent.objects.get(action="delete").pk]))
    assert "nothing left to undo" in again.content.decode()


def test_messages_are_moved_to_an_allowed_folder_and_to_no_other(administrator: Client) -> None:
    entries = take_in()
    refused = do(administrator, "move", entries, folder="/etc")
    assert "is not in a folder that messages may be moved to" in refused.content.decode()
    assert "HX-Trigger" not in refused and Entry.objects.exists()
    dialog = administrator.post(reverse("admin:spool_entry_dialog", args=["move"]), {"ids": str(entries[0].pk)})
    assert str(django_settings.HOME.root / "moved") in dialog.content.decode()
    do(administrator, "move", entries, folder=str(django_settings.HOME.root / "moved" / "seen"))
    assert (Path(django_settings.HOME.root) / "moved" / "seen" / entries[0].file_name).exists()
    assert not Entry.objects.exists()


def test_a_redirect_without_a_target_is_refused_with_a_sentence(administrator: Client) -> None:
    assert "Give either new recipients or a next hop" in do(administrator, "redirect", take_in()).content.decode()


def test_a_copy_is_sent_and_the_original_stays(administrator: Client) -> None:
    entries = take_in(a_submission("ann@example.org", "bob@example.net"))
    do(administrator, "resend", entries, to="eve@example.com")
    assert Entry.objects.count() == 2
    assert Recipient.objects.filter(address="eve@example.com").count() == 1


@pytest.mark.parametrize("form", ["zip", "mbox", "csv", "json"])
def test_an_export_is_a_file_of_what_was_chosen(administrator: Client, form: str) -> None:
    answer = do(administrator, "export", take_in(a_submission(subject="Exported")), format=form)
    content = b"".join(answer.streaming_content)
    assert answer["Content-Disposition"].endswith(f'.{form}"')
    assert (b".eml" in content) if form == "zip" else (b"Exported" in content)


def test_a_large_action_goes_on_in_the_background_with_its_progress(administrator: Client) -> None:
    take_in(*[a_submission() for _ in range(505)])
    url = reverse("admin:spool_entry_perform", args=["hold"])
    text = administrator.post(url, {"all": "1", "query": ""}).content.decode()
    job = BulkJob.objects.get()
    assert "progressbar" in text and "waiting for a worker" in text
    assert reverse("admin:spool_entry_job", args=[job.pk]) in page(administrator, SPOOL)
    text = administrator.post(reverse("admin:spool_entry_cancel_job", args=[job.pk])).content.decode()
    assert "Cancelled by admin@localhost" in text


@pytest.mark.parametrize("body", [{}, {"ids": "x"}, {"all": "1", "query": "older=soon"}])
def test_an_action_without_a_sensible_selection_does_nothing(administrator: Client, body: dict[str, str]) -> None:
    take_in()
    answer = administrator.post(reverse("admin:spool_entry_perform", args=["delete"]), body)
    assert "HX-Trigger" not in answer and Entry.objects.count() == 1
    assert administrator.post(reverse("admin:spool_entry_dialog", args=["explode"])).status_code == 404


def test_what_changes_something_is_no_get_and_needs_the_token(administrator: Client) -> None:
    take_in()
    for name, args in (
        ("perform", ["delete"]),
        ("dialog", ["delete"]),
        ("undo", [1]),
        ("save_view", []),
        ("cancel_job", [1]),
    ):
        assert administrator.get(reverse(f"admin:spool_entry_{name}", args=args)).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = administrator.cookies
    url = reverse("admin:spool_entry_perform", args=["delete"])
    assert strict.post(url, {"ids": str(Entry.objects.get().pk)}).status_code == 403


@pytest.mark.parametrize("role", [Role.USER, Role.DOMAIN_ADMINISTRATOR])
def test_nobody_else_sees_a_page_or_does_anything(client: Client, role: Role) -> None:
    accounts.add_domain("example.org")
    client.force_login(accounts.add_user("ann@example.org", PASSWORD, role=role))
    (entry,) = take_in()
    name, records = entry.file_name, AuditEvent.objects.count()
    for part in ("message", "recipients", "content", "preview", "source", "download"):
        assert client.get(reverse(f"admin:spool_entry_{part}", args=[name])).status_code == 302, part
    for url in (
        SPOOL,
        WAITING,
        "admin:spool_entry_backlog",
        "admin:spool_trace_changelist",
        "admin:audit_auditevent_changelist",
    ):
        assert client.get(reverse(url)).status_code == 302, url
    assert do(client, "delete", [entry]).status_code == 302
    assert Entry.objects.exists() and AuditEvent.objects.count() == records


def test_the_backlog_is_a_map_whose_cells_lead_to_their_messages(
    administrator: Client, django_assert_max_num_queries: Any
) -> None:
    down = take_in(*[a_submission(to=f"u{i}@down.example") for i in range(3)])
    full = take_in(a_submission(to="v@full.example"))
    attempt(down, "Connection refused")
    attempt(full, "452 4.2.2 Mailbox of v@full.example is full")
    Entry.objects.filter(pk=down[0].pk).update(created=timezone.now() - timedelta(hours=2))
    with django_assert_max_num_queries(14):
        answer = administrator.get(reverse("admin:spool_entry_backlog"))
    rows = {row.domain: row for row in answer.context["backlog"].rows}
    assert [cell.count for cell in rows["down.example"].cells] == [2, 0, 1, 0, 0, 0, 0]
    assert rows["down.example"].total.count == 3
    cell = rows["down.example"].cells[2]
    listed = administrator.get(f"{reverse(WAITING)}?{cell.query}").context["listing"].entries
    assert [entry.pk for entry in listed] == [down[0].pk]
    group = next(g for g in answer.context["backlog"].errors if "full" in g.text)
    listed = administrator.get(f"{reverse(WAITING)}?{group.query}").context["listing"].entries
    assert [entry.pk for entry in listed] == [full[0].pk]


def test_without_a_backlog_the_map_says_what_it_would_show(administrator: Client) -> None:
    assert "No backlog" in page(administrator, "admin:spool_entry_backlog")


@pytest.mark.parametrize(
    "text", ["ann@example.org", "BOB@example.net", "192.0.2.7", "<4711@example.org>", "file name", ""]
)
def test_the_trace_finds_a_message_by_anything_that_names_it(administrator: Client, text: str) -> None:
    content = a_message(headers=[("X-Note", "one")]).replace(
        b"Message-ID: <", b"Message-ID: <4711@example.org>\r\nX-Old: <"
    )
    one, two = take_in(
        a_submission("ann@example.org", "bob@example.net", content=content),
        a_submission("cat@elsewhere.example", "dan@elsewhere.example"),
    )
    attempt([one, two], "250 Taken", outcome=Outcome.DELIVERED)
    asked = one.file_name if text == "file name" else text
    shown = administrator.get(reverse("admin:spool_trace_changelist"), {"q": asked}).context["found"]
    expected = {one.file_name, two.file_name} if text in ("192.0.2.7", "") else {one.file_name}
    assert {trace.file_name for trace in shown.traces} == expected


@pytest.mark.parametrize("text", ["ann@example.org", "bob@example.net", "192.0.2.7", "file name", ""])
def test_the_trace_knows_what_was_deleted_until_it_is_undone(administrator: Client, text: str) -> None:
    (entry,) = take_in(a_submission("ann@example.org", ["bob@example.net", "eve@example.net"]))
    do(administrator, "delete", [entry])
    asked = entry.file_name if text == "file name" else text
    url = reverse("admin:spool_trace_changelist")
    found = administrator.get(url, {"q": asked}).context["found"].traces
    everybody = {"bob@example.net", "eve@example.net"}
    assert {trace.recipient for trace in found} == (everybody if text != "bob@example.net" else {text})
    assert {(trace.outcome, trace.reply) for trace in found} == {(Outcome.REMOVED, "Removed by admin@localhost")}
    administrator.post(reverse("admin:spool_entry_undo", args=[AuditEvent.objects.get(action="delete").pk]))
    assert not administrator.get(url, {"q": asked}).context["found"].traces


def test_the_trace_is_paged_and_points_at_what_is_still_here(administrator: Client) -> None:
    entries = take_in(*[a_submission("ann@example.org") for _ in range(60)])
    attempt(entries[:59], "250 Taken", outcome=Outcome.DELIVERED)
    url = reverse("admin:spool_trace_changelist")
    first = administrator.get(url, {"q": "ann@example.org"})
    assert len(first.context["found"].traces) == 50
    assert "Still in the spool" in first.content.decode()
    rest = administrator.get(f"{url}?{first.context['following']}").context["found"]
    assert len(rest.traces) == 9 and not rest.after
    assert "knows nothing of it" in page(administrator, "admin:spool_trace_changelist", q="nobody@example.org")


def test_the_audit_says_who_did_what_and_offers_to_undo_it(administrator: Client) -> None:
    assert "Nothing has been done yet" in page(administrator, "admin:audit_auditevent_changelist")
    do(administrator, "delete", take_in())
    text = page(administrator, "admin:audit_auditevent_changelist")
    assert "admin@localhost" in text and "1 deleted" in text and "Undo" in text


def test_the_console_may_only_talk_to_its_own_host(administrator: Client, home: Home) -> None:
    policy = administrator.get(reverse(SPOOL))["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy


def test_too_many_wrong_passwords_close_the_login_and_say_so(client: Client) -> None:
    LoginRules.objects.create(pk=1, pair_failures=3)
    accounts.add_user("admin@localhost", PASSWORD, role=Role.SYSTEM_ADMINISTRATOR)
    url = reverse("admin:login")
    for n in range(2):
        assert client.post(url, {"username": "admin@localhost", "password": f"guess {n}"}).status_code == 200
    answer = client.post(url, {"username": "admin@localhost", "password": "wrong"})
    assert answer.status_code == 429 and "Too many failed logins" in answer.content.decode()
    assert client.post(url, {"username": "admin@localhost", "password": PASSWORD}).status_code == 429
    other = Client(REMOTE_ADDR="198.51.100.9")
    answer = other.post(url, {"username": "admin@localhost", "password": PASSWORD})
    assert answer.status_code == 302 and answer["Location"] == reverse("admin:index")
