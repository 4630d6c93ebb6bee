"""The trace searched by conditions: what they find, in which order, page by page, in a bounded time, and as a file."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from spool.filters import BadFilter, keyset
from spool.filters import trace as filters
from spool.filters.trace import SORTS, TRACE_FIELDS, TraceFilter, every, page
from spool.filters.trace_terms import asked_by
from spool.models import AuditEvent, Trace
from tests.console.conftest import administrator
from tests.spool.test_trace import a_trace
from tests.support.commands import manage_with

__all__ = ["administrator"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
TRACE = "admin:spool_trace_changelist"


@pytest.fixture
def full() -> list[Trace]:
    """130 outcomes, a minute apart, the newest last."""
    now = timezone.now()
    return Trace.objects.bulk_create(
        a_trace(
            now - timedelta(minutes=130 - number),
            f"user{number % 7}@{'a' if number % 3 else 'b'}.example",
            sender="" if number % 13 == 0 else f"sender{number % 5}@org{number % 2}.example",
            outcome=("delivered", "bounced", "expired")[number % 3],
            reply="550 5.1.1 No such user" if number % 3 == 1 else "250 Taken",
            host=f"mx{number % 4}.example.net",
            client_ip=f"192.0.2.{number % 6}",
            subject=f"{'lunch' if number % 2 else 'invoice'} {number}",
            message_id=f"<{number}@example.org>",
            auth_user=f"user{number % 4}@example.org",
            size_bytes=number * 1000,
            file_name=f"{number:026}.eml",
        )
        for number in range(130)
    )


CONDITIONS: list[tuple[dict[str, str], Any]] = [
    ({}, lambda one: True),
    ({"outcome": "bounced"}, lambda one: one.outcome == "bounced"),
    ({"domain": "a.example"}, lambda one: one.recipient.endswith("@a.example")),
    ({"domain": "a.example", "outcome": "expired"}, lambda one: one.outcome == "expired" and "@a." in one.recipient),
    ({"sender": "sender1@org0.example"}, lambda one: one.sender == "sender1@org0.example"),
    ({"sender": "<>"}, lambda one: one.sender == ""),
    ({"sender": "*@org1.example", "reply": "no such"}, lambda one: "org1" in one.sender and "No such" in one.reply),
    ({"sender-domain": "org0.example"}, lambda one: one.sender.endswith("@org0.example")),
    (
        {"recipient": "user3@a.example", "subject": "lunch"},
        lambda one: one.recipient == "user3@a.example" and "lunch" in one.subject,
    ),
    ({"recipient": "user3@*"}, lambda one: one.recipient.startswith("user3@")),
    ({"ip": "192.0.2.4", "host": "mx2"}, lambda one: one.client_ip == "192.0.2.4" and one.host.startswith("mx2")),
    ({"id": f"{7:026}"}, lambda one: one.file_name == f"{7:026}.eml"),
    ({"message-id": "9@example.org"}, lambda one: one.message_id == "<9@example.org>"),
    (
        {"auth-user": "user2@example.org", "larger": "20KB"},
        lambda one: one.auth_user == "user2@example.org" and one.size_bytes > 20480,
    ),
    ({"exact-subject": "lunch 9", "smaller": "1GB"}, lambda one: one.subject == "lunch 9"),
    ({"younger": "30m"}, lambda one: one.ended > timezone.now() - timedelta(minutes=30)),
    (
        {"older": "1h", "outcome": "delivered"},
        lambda one: one.ended < timezone.now() - timedelta(hours=1) and one.outcome == "delivered",
    ),
]


def walk(chosen: TraceFilter, sort: str, size: int = 20) -> list[int]:
    """All pages, one after the other."""
    found: list[int] = []
    after = ""
    while True:
        there = page(chosen, sort=sort, after=after, size=size)
        found += [trace.pk for trace in there.traces]
        if not (after := there.following):
            return found


@pytest.mark.parametrize("windows", ["whole", "small"])
def test_pages_have_just_what_meets_the_conditions(
    full: list[Trace], windows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if windows == "small":
        monkeypatch.setattr(keyset, "WINDOW", 9)
        monkeypatch.setattr(filters, "LOOK_SECONDS", 0.0)
    for texts, holds in CONDITIONS:
        wanted = {one.pk for one in full if holds(one)}
        for sort in SORTS:
            found = walk(TraceFilter.parse(texts), sort)
            assert set(found) == wanted and len(found) == len(wanted), (texts, sort)
    assert {name for texts, _ in CONDITIONS for name in texts} == TRACE_FIELDS.keys()


def test_each_order_is_one(full: list[Trace]) -> None:
    of = {one.pk: one for one in full}
    for sort in SORTS:
        column = sort.lstrip("-")
        found = [getattr(of[pk], column) for pk in walk(TraceFilter(), sort)]
        assert found == sorted(found, reverse=sort.startswith("-")), sort


def test_a_look_that_takes_too_long_says_so(full: list[Trace], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "WINDOW", 10)
    monkeypatch.setattr(filters, "LOOK_SECONDS", 0.0)
    found = page(TraceFilter(reply="nothing has this"))
    assert found.extent is not None and found.extent.sentence(0).startswith("Looked through 10 messages, back to ")
    assert not found.traces and found.following


def test_what_makes_no_sense_is_refused(full: list[Trace]) -> None:
    for ask in (
        lambda: page(TraceFilter(), sort="size"),
        lambda: page(TraceFilter(), after="nowhere"),
        lambda: page(TraceFilter(), after=f"{'9' * 18}.1"),
        lambda: TraceFilter.parse({"outcome": "lost"}),
        lambda: asked_by("status:waiting") and TraceFilter.parse(asked_by("status:waiting")[1]),
        lambda: asked_by("foo:bar"),
    ):
        with pytest.raises(BadFilter):
            ask()


@pytest.mark.parametrize(
    ("typed", "text", "conditions"),
    [
        ("ann@example.org", "ann@example.org", {}),
        ("192.0.2.7", "192.0.2.7", {}),
        ("ann@example.org outcome:bounced", "ann@example.org", {"outcome": "bounced"}),
        ("error:quota domain:example.net", "", {"reply": "quota", "domain": "example.net"}),
        ("from:ann@example.org lunch", "", {"sender": "ann@example.org", "subject": "lunch"}),
        ("example.net", "", {"domain": "example.net"}),
        ("", "", {}),
    ],
)
def test_the_search_box_takes_conditions_too(typed: str, text: str, conditions: dict[str, str]) -> None:
    assert asked_by(typed) == (text, conditions)


def test_the_page_filters_sorts_and_exports(administrator: Client, full: list[Trace]) -> None:
    shown = administrator.get(reverse(TRACE), {"outcome": "bounced", "domain": "a.example", "sort": "recipient"})
    text = unescape(shown.content.decode())
    assert "With the outcome bounced" in text and "To the domain a.example" in text
    names = [trace.recipient for trace in shown.context["found"].traces]
    assert names == sorted(names) and len(names) == 43
    assert "There is no operator foo:" in unescape(administrator.get(reverse(TRACE), {"q": "foo:x"}).content.decode())
    assert "Nothing matches" in administrator.get(reverse(TRACE), {"host": "elsewhere"}).content.decode()
    asked = {"q": "192.0.2.4", "outcome": "bounced", "format": "csv"}
    answer = administrator.post(reverse("admin:spool_trace_export"), asked)
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))  # type: ignore[arg-type]
    wanted = [one for one in full if one.client_ip == "192.0.2.4" and one.outcome == "bounced"]
    assert [row["file_name"] for row in rows] == [one.file_name for one in reversed(wanted)] and wanted
    assert AuditEvent.objects.get(action="export trace").parameters["filter"]["outcome"] == "bounced"
    answer = administrator.post(reverse("admin:spool_trace_export"), {"format": "json"})
    assert len(json.loads(b"".join(answer))) == 130  # type: ignore[arg-type]
    for refused in ({"format": "xml"}, {"format": "csv", "outcome": "lost"}, {"format": "csv", "sendr": "x"}):
        assert administrator.post(reverse("admin:spool_trace_export"), refused).status_code == 400


def test_an_export_ends_at_its_bound(full: list[Trace], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "CHUNK", 30)
    assert [one.pk for one in every(TraceFilter())] == [one.pk for one in reversed(full)]
    assert len(list(every(TraceFilter(), 70))) == 70


def test_the_command_has_the_same_conditions(
    full: list[Trace], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    manage = manage_with(capsys, monkeypatch, "spool")
    found = manage("spool", "trace", "--outcome", "bounced", "--search", "192.0.2.4", "--json").json
    assert {row["outcome"] for row in found} == {"bounced"} and {row["client_ip"] for row in found} == {"192.0.2.4"}
    listed = manage("spool", "trace", "--domain", "b.example", "--limit", "3", "--sort", "recipient")
    assert "user0@b.example" in listed.out and "More than 3 match" in listed.out
    exported = manage("spool", "trace", "--outcome", "expired", "--export", "csv")
    assert len(list(csv.DictReader(io.StringIO(exported.out)))) == 43
    assert manage("spool", "trace", "--host", "elsewhere").status == 1
    assert manage("spool", "trace", "--search", "foo:bar").status == 2


def test_what_a_user_has_sent_is_read_along_its_index() -> None:
    now = timezone.now()
    Trace.objects.bulk_create(
        a_trace(
            now - timedelta(seconds=number),
            f"user{number % 700}@a.example",
            auth_user=f"user{number % 500}@example.org" if number % 4 else "",
            file_name=f"{number:026}.eml",
        )
        for number in range(20_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE spool_trace")
    with CaptureQueriesContext(connection) as queries:
        found = page(TraceFilter.parse({"auth-user": "User7@Example.org"}))
    assert [trace.auth_user for trace in found.traces] == ["user7@example.org"] * 40 and not found.extent
    assert [trace.ended for trace in found.traces] == sorted((trace.ended for trace in found.traces), reverse=True)
    [query] = queries
    explain = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    with connection.cursor() as cursor:
        cursor.execute(f"{explain}{query['sql']}")
        plan = "\n".join(str(row) for row in cursor.fetchall())
    assert "trace_auth_user" in plan and "Seq Scan" not in plan and "TEMP B-TREE" not in plan, plan
