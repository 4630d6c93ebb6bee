"""The pages of both quarantines, as an administrator sees them."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, User
from quarantine.console.columns import OF_ITEMS
from quarantine.models import AntispamSettings, AntivirusSettings, Check, CheckKind, Item, ItemKind, ItemState
from spool.models import AuditEvent, Entry, SavedView
from tests.console.conftest import administrator
from tests.quarantine import mail
from tests.support.clamd import EICAR, SIGNATURE, Clamd

__all__ = ["administrator"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home"), pytest.mark.alike]
SPAM, VIRUS = "/admin/quarantine/item/spam/", "/admin/quarantine/item/virus/"
HTMX = {"HTTP_HX_REQUEST": "true"}


def page(client: Client, path: str, **headers: str) -> str:
    answer = client.get(path, **headers)  # type: ignore[arg-type]
    assert answer.status_code == 200, path
    return answer.content.decode()


def test_the_list_shows_every_column_of_its_own_quarantine(
    administrator: Client, quarantined: Callable[..., Item]
) -> None:
    item = quarantined(why="12.5 points: SPF 8", sender="eve@example.com", subject="Win", attempts=2)
    quarantined(ItemKind.VIRUS, f"{SIGNATURE} (clamd)", sender="mal@example.com")
    text = page(administrator, SPAM)
    for heading in (
        "File Name",
        "Date",
        "Sender",
        "Recipients",
        "Size",
        "Attempts",
        "Time in Spool",
        "Time of Removal",
        "Why",
    ):
        assert heading in text
    assert item.file_name in text and "eve@example.com" in text and "0 / 1" in text and "12.5 points: SPF 8" in text
    assert "mal@example.com" not in text
    assert SIGNATURE in page(administrator, VIRUS)
    everything = {"page": "admin:quarantine_item_spam", "column": [column.name for column in OF_ITEMS.columns]}
    administrator.post(reverse("admin:spool_entry_save_layout"), everything)
    shown = administrator.get(SPAM)
    assert [one.title for one in shown.context["listing"].headings] == [column.title for column in OF_ITEMS.columns]
    assert f'title="{item.file_name}"' in shown.content.decode()


def test_everybody_arranges_each_quarantine_for_themselves(
    administrator: Client, quarantined: Callable[..., Item]
) -> None:
    for number in range(30):
        quarantined(sender=f"eve{number}@example.com", to=["ann@example.org", "bob@example.org"], client_ip="192.0.2.9")
    quarantined(ItemKind.VIRUS, SIGNATURE)

    def titles(path: str) -> list[str]:
        return [heading.title for heading in administrator.get(path).context["listing"].headings]

    def arrange(*columns: str, **more: str) -> None:
        sent = {"page": "admin:quarantine_item_spam", "column": columns, **more}
        assert administrator.post(reverse("admin:spool_entry_save_layout"), sent)["Location"].startswith(SPAM)

    at_first = ["Date", "Sender", "Recipient", "Recipients", "Size", "Attempts", "Time in Spool"]
    assert titles(SPAM) == titles(VIRUS) == [*at_first, "Time of Removal"]
    with CaptureQueriesContext(connection) as asked:
        text = page(administrator, SPAM)
    assert text.count("and 1 more") == 30 and "ann@example.org" in text and "bob@example.org" not in text
    # One for the page, one for its recipients, and the counts of the tabs.
    assert sum("addresses" in one["sql"] for one in asked.captured_queries) == 1
    arrange("client-ip", "file-name", "destination", "sender", density="compact", page_size="25")
    assert titles(SPAM) == ["Client IP", "File Name", "Sender"] and titles(VIRUS)[0] == "Date"
    shown = administrator.get(SPAM)
    assert len(shown.context["listing"].entries) == 25 and shown.context["listing"].following
    text = shown.content.decode()
    assert "ms-list compact" in text and "192.0.2.9" in text and "and 1 more" not in text
    with CaptureQueriesContext(connection) as asked:
        page(administrator, SPAM)
    assert not any("addresses" in one["sql"] for one in asked.captured_queries)
    arrange(reset="1")
    assert titles(SPAM) == titles(VIRUS)


def test_an_empty_list_says_what_would_be_there_and_how(administrator: Client) -> None:
    assert "no scanner is set" in page(administrator, VIRUS)
    assert "no check is on for it" in page(administrator, SPAM)


def test_the_tabs_count_both_quarantines(administrator: Client, quarantined: Callable[..., Item]) -> None:
    for _ in range(3):
        quarantined()
    text = page(administrator, "/admin/spool/entry/")
    assert 'Spam Quarantine <span class="ms-count" title="3">3</span>' in text
    assert 'Virus Quarantine <span class="ms-count" title="0">0</span>' in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sender=eve@example.com", {"eve"}),
        ("sender=*@example.org", {"ann"}),
        ("subject=prize", {"eve"}),
        ("recipient=bob@example.net", {"ann", "eve"}),
        ("recipient=*@nowhere.example", set()),
        ("why=dnsbl", {"eve"}),
        ("min-score=20", {"eve"}),
        ("larger=1KB", set()),
        ("older=1h", {"ann"}),
        ("younger=1h", {"eve"}),
        ("q=eve@example.com", {"eve"}),
        ("q=prize", {"eve"}),
        ("sender=a&recipient=", set()),
    ],
)
def test_the_list_is_filtered(
    administrator: Client, quarantined: Callable[..., Item], query: str, found: set[str]
) -> None:
    ann = quarantined(sender="ann@example.org", subject="Lunch", score=12.0, why="12 points: SPF 12")
    quarantined(sender="eve@example.com", subject="A prize", score=25.0, why="25 points: DNSBL 25")
    Item.objects.filter(id=ann.id).update(at=timezone.now() - timedelta(hours=2))
    text = administrator.get(f"{SPAM}?{query}", follow=True).content.decode()
    rows = text.partition("<table")[2]
    assert {name for name in ("ann", "eve") if f'title="{name}@' in rows} == found


def test_pages_lead_on_and_back_without_a_cap(administrator: Client, quarantined: Callable[..., Item]) -> None:
    items = [quarantined() for _ in range(3)]
    rows = [
        Item(**{f.attname: getattr(items[0], f.attname) for f in Item._meta.fields if f.attname != "id"})
        for _ in range(117)
    ]
    for number, row in enumerate(rows):
        row.entry_id, row.file_name = 10_000 + number, f"x{number}.eml"
    Item.objects.bulk_create(rows)
    seen: list[str] = []
    path = SPAM
    pages = 0
    while path:
        text = page(administrator, path)
        seen += [line.partition('"')[0] for line in text.split('class="pick-one" id="pick-')[1:]]
        pages += 1
        further = re.search(r'rel="next" href="([^"]+)"', text)
        path = html.unescape(further[1]) if further else ""
    assert pages == 3 and len(seen) == len(set(seen)) == 120


def test_the_list_costs_few_queries_whatever_it_holds(
    administrator: Client, quarantined: Callable[..., Item], django_assert_max_num_queries: object
) -> None:
    for _ in range(20):
        quarantined()
    page(administrator, SPAM)
    with django_assert_max_num_queries(14):  # type: ignore[operator]
        page(administrator, SPAM)


def test_the_popup_tells_why_and_shows_spam_in_a_sandbox(
    administrator: Client, quarantined: Callable[..., Item]
) -> None:
    findings = [{"check": "SPF", "kind": "spf", "points": 8.0, "text": "fail for example.com", "failed": False}]
    item = quarantined(why="8 points: SPF 8", findings=findings)
    link = reverse("admin:quarantine_item_message", args=[item.file_name])
    text = page(administrator, link, **HTMX)
    assert "fail for example.com" in text and "bob@example.net" in text and "Source" in text
    assert "<iframe" in page(administrator, f"{link}content/", **HTMX)
    answer = administrator.get(f"{link}preview/")
    assert "sandbox" in answer["Content-Security-Policy"]


def test_a_virus_is_shown_as_text_and_never_as_a_page_or_a_file(
    administrator: Client, quarantined: Callable[..., Item]
) -> None:
    content = (
        b"From: eve@example.com\r\nSubject: Invoice\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n"
        b"<script>alert(1)</script><b onclick='x()'>Pay &lt;now&gt;</b>\r\n"
    )
    item = quarantined(ItemKind.VIRUS, SIGNATURE, content=content)
    link = reverse("admin:quarantine_item_message", args=[item.file_name])
    text = page(administrator, f"{link}content/", **HTMX)
    assert "Pay &lt;now&gt;" in text and "alert(1)" not in text and "<b onclick" not in text and "<iframe" not in text
    assert administrator.get(f"{link}preview/").status_code == 404
    assert administrator.get(f"{link}source/").status_code == 404
    attached = quarantined(ItemKind.VIRUS, SIGNATURE, content=mail.attached())
    text = page(administrator, reverse("admin:quarantine_item_content", args=[attached.file_name]), **HTMX)
    assert "invoice.com" in text and EICAR.decode() not in text


def test_a_download_warns_first_and_is_written_down(administrator: Client, quarantined: Callable[..., Item]) -> None:
    item = quarantined(ItemKind.VIRUS, SIGNATURE)
    link = reverse("admin:quarantine_item_download", args=[item.file_name])
    assert "can infect your computer" in page(administrator, link)
    assert not AuditEvent.objects.exists()
    answer = administrator.post(link)
    assert b"".join(answer.streaming_content) == item.path.read_bytes()  # type: ignore[attr-defined]
    assert answer["Content-Disposition"] == f'attachment; filename="{item.file_name}.txt"'
    assert AuditEvent.objects.get().action == "quarantine-download"


def test_all_that_match_are_resent_after_a_dialog_that_says_how_many(
    administrator: Client, quarantined: Callable[..., Item]
) -> None:
    for sender in ("ann@example.org", "eve@example.com", "eve@example.com"):
        quarantined(sender=sender)
    quarantined(ItemKind.VIRUS, sender="eve@example.com")
    asked = {"all": "1", "query": "sender=eve@example.com", "page": "admin:quarantine_item_spam"}
    link = reverse("admin:quarantine_item_dialog", args=["resend"])
    assert "Resend: 2 messages" in administrator.post(link, asked).content.decode()
    assert Item.objects.count() == 4
    answer = administrator.post(reverse("admin:quarantine_item_perform", args=["resend"]), asked)
    assert "2 resent" in answer.content.decode() and answer["HX-Trigger"] == "ms-done"
    assert Entry.objects.count() == 2 and Item.objects.count() == 2


def test_a_deletion_offers_undo(administrator: Client, quarantined: Callable[..., Item]) -> None:
    item = quarantined()
    answer = administrator.post(reverse("admin:quarantine_item_perform", args=["delete"]), {"ids": str(item.id)})
    assert "1 deleted" in answer.content.decode() and "Undo" in answer.content.decode()
    event = AuditEvent.objects.get()
    assert "1 put back" in administrator.post(f"/admin/spool/entry/undo/{event.id}/").content.decode()
    assert Item.objects.get().state == ItemState.HELD


@pytest.mark.parametrize("name", ["nothing", "purge"])
def test_there_is_no_other_action(administrator: Client, name: str) -> None:
    assert administrator.post(f"/admin/quarantine/item/action/{name}/perform/", {"ids": "1"}).status_code == 404


@pytest.mark.parametrize("role", [Role.USER, Role.DOMAIN_ADMINISTRATOR])
@pytest.mark.parametrize("path", [SPAM, VIRUS, "/admin/quarantine/antivirussettings/1/change/"])
def test_only_system_administrators_see_them(client: Client, role: Role, path: str) -> None:
    user = User(email="ann@localhost", role=role)
    user.set_unusable_password()
    user.save()
    client.force_login(user)
    assert client.get(path).status_code in (302, 403)


def test_the_page_antivirus_tries_a_message_out(
    administrator: Client, clamd: Clamd, setting: Callable[..., None]
) -> None:
    assert (
        "No scanner is configured"
        in administrator.get("/admin/quarantine/antivirussettings/1/change/", follow=True).content.decode()
    )
    setting(AntivirusSettings, clamd_servers=clamd.address)
    link = reverse("admin:quarantine_antivirussettings_try")
    text = administrator.post(link, {"message": mail.plain().decode()}).content.decode()
    assert "It would go to the Virus Quarantine" in text and SIGNATURE in text
    assert "It would be delivered" in administrator.post(link, {"message": "Subject: x\n\nhello"}).content.decode()
    assert "Paste a message" in administrator.post(link, {"message": " "}).content.decode()
    assert not Item.objects.exists() and not Entry.objects.exists()


def test_the_page_antispam_tries_a_message_out(administrator: Client) -> None:
    AntispamSettings.load()
    text = page(administrator, "/admin/quarantine/antispamsettings/1/change/")
    assert "No checks are configured" in text
    Check.objects.create(name="rule", kind=CheckKind.HEADER, where="Subject", pattern="prize", weight=12)
    link = reverse("admin:quarantine_antispamsettings_try")
    text = administrator.post(link, {"message": "Subject: A prize\n\nhello"}).content.decode()
    assert "12 points: rule 12" in text and "Subject has" in text


def test_the_list_is_exported_as_rows_and_that_is_written_down(
    administrator: Client, quarantined: Callable[..., Item]
) -> None:
    item = quarantined(sender="eve@example.com", subject="=1+1", why="31 points: SPF 31", score=31.0)
    quarantined(sender="ann@example.org")
    asked = {"all": "1", "query": "sender=eve@example.com", "page": "admin:quarantine_item_spam"}
    dialog = administrator.post(reverse("admin:quarantine_item_dialog", args=["export"]), asked).content.decode()
    assert "Export: 1 message" in dialog and "The messages stay where they are." in dialog and "zip" not in dialog
    link = reverse("admin:quarantine_item_perform", args=["export"])
    answer = administrator.post(link, {**asked, "p-format": "csv"})
    [row] = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))  # type: ignore[attr-defined]
    assert answer["Content-Disposition"].startswith('attachment; filename="quarantine-')
    assert (row["file_name"], row["recipients"], row["score"]) == (item.file_name, "bob@example.net", "31.0")
    # A spreadsheet must not take it for a formula.
    assert row["subject"] == "'=1+1" and row["why"] == "31 points: SPF 31"
    event = AuditEvent.objects.get()
    assert (event.action, event.done) == ("quarantine-export", 1) and event.filter["sender"] == "eve@example.com"
    refused = administrator.post(link, {**asked, "p-format": "zip"}).content.decode()
    assert "is not a format of this list" in html.unescape(refused)


def test_more_messages_are_exported_than_a_page_or_a_batch_has(
    administrator: Client, quarantined: Callable[..., Item]
) -> None:
    first = quarantined()
    rows = [
        Item(**{f.attname: getattr(first, f.attname) for f in Item._meta.fields if f.attname != "id"})
        for _ in range(1_200)
    ]
    for number, row in enumerate(rows):
        row.entry_id, row.file_name = 10_000 + number, f"x{number}.eml"
    Item.objects.bulk_create(rows)
    asked = {"all": "1", "query": "", "page": "admin:quarantine_item_spam", "p-format": "json"}
    answer = administrator.post(reverse("admin:quarantine_item_perform", args=["export"]), asked)
    exported = json.loads(b"".join(answer.streaming_content))  # type: ignore[attr-defined]
    assert {row["file_name"] for row in exported} == {first.file_name, *(row.file_name for row in rows)}


def test_a_view_of_the_list_is_saved_found_and_removed(administrator: Client) -> None:
    save = reverse("admin:spool_entry_save_view")
    query = "sender=eve%40example.com&sort=-size_bytes"
    answer = administrator.post(save, {"page": "admin:quarantine_item_spam", "name": "Eve", "query": query})
    assert answer["Location"] == f"{SPAM}?{query}"
    text = page(administrator, SPAM)
    assert ">Eve</a>" in text and f"?{html.escape(query)}" in text
    assert ">Eve</a>" not in page(administrator, VIRUS)
    view = SavedView.objects.get()
    assert administrator.post(reverse("admin:spool_entry_forget_view", args=[view.pk]))["Location"] == SPAM
    assert ">Eve</a>" not in page(administrator, SPAM)
