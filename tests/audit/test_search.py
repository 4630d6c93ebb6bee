"""The audit is searched by who, what, where and when, in orders that an index has, a page at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from base.audit.models import AuditEvent
from spool.filters import BadFilter
from spool.filters.audit import SORTS, AuditFilter, every, page
from tests.audit.events import NOW, an_event, many

pytestmark = pytest.mark.django_db


def found(sort: str = "-at", **conditions: str) -> list[int]:
    return [event.pk for event in page(AuditFilter.parse(conditions), sort).events]


@pytest.mark.parametrize(
    ("condition", "fields"),
    [
        ({"actor": "ann@example.org"}, {"actor": "ann@example.org"}),
        ({"action": "move"}, {"action": "move"}),
        ({"source": "shell"}, {"source": "shell"}),
        ({"result": "failed"}, {"result": "failed"}),
        ({"kind": "domain"}, {"kind": "domain"}),
        ({"kind": "user", "key": "eve@example.org"}, {"kind": "user", "key": "eve@example.org"}),
        ({"kind": "user", "row": "7"}, {"kind": "user", "row_id": 7}),
        ({"ip": "2001:db8::1"}, {"ip": "2001:db8::1"}),
        ({"text": "Eve@Example.org"}, {"key": "eve@example.org"}),
        ({"text": "2001:db8::1"}, {"ip": "2001:db8::1"}),
        ({"text": "ann@example.org"}, {"actor": "ann@example.org"}),
        ({"text": "secret proj"}, {"on": "messages with the subject Secret project"}),
    ],
    ids=str,
)
def test_each_condition_finds_what_it_says_and_nothing_else(condition: dict[str, str], fields: dict[str, Any]) -> None:
    an_event(1)
    meant = an_event(2, **fields)
    an_event(3)
    assert found(**condition) == [meant.pk]


def test_all_conditions_must_hold() -> None:
    an_event(actor="ann@example.org")
    meant = an_event(actor="ann@example.org", action="move", ip="192.0.2.1")
    an_event(action="move", ip="192.0.2.1")
    assert found(actor="ann@example.org", action="move", ip="192.0.2.1", text="a.eml") == [meant.pk]


def test_days_are_meant_as_a_whole_and_moments_to_the_minute() -> None:
    [yesterday, noon] = [an_event(at=NOW.replace(hour=12, minute=0) - timedelta(days=days)) for days in (1, 0)]
    day = f"{noon.at:%Y-%m-%d}"
    assert found(since=day, until=day) == [noon.pk]
    assert found(since=f"{noon.at:%Y-%m-%d %H:%M}") == [noon.pk]
    assert found(until=f"{noon.at:%Y-%m-%d %H:%M}") == [yesterday.pk]


@pytest.mark.parametrize(
    "wrong",
    [
        {"since": "yesterday"},
        {"until": "2026-13-01"},
        {"until": "9999-12-31"},
        {"source": "moon"},
        {"result": "so so"},
        {"row": "x"},
    ],
    ids=str,
)
def test_what_can_t_be_meant_is_said(wrong: dict[str, str]) -> None:
    with pytest.raises(BadFilter):
        AuditFilter.parse(wrong)


@pytest.mark.parametrize("sort", SORTS)
def test_pages_go_on_behind_each_other_in_every_order(sort: str) -> None:
    for n in range(30):
        # Some at the same moment, by names with a dot.
        an_event(n // 3, actor=f"a.{n % 4}@example.org", action=f"action {n % 2}")
    seen: list[AuditEvent] = []
    after = ""
    while True:
        shown = page(AuditFilter(), sort, after, 7)
        seen += shown.events
        if not (after := shown.following):
            break
    name = sort.lstrip("-")
    keys = [(getattr(event, name), event.at, event.pk) for event in seen]
    assert len({event.pk for event in seen}) == 30
    assert keys == sorted(keys, reverse=sort.startswith("-"))


def test_what_a_condition_leaves_is_sorted_by_time_alone() -> None:
    older, newer = an_event(2, actor="b@example.org"), an_event(1, actor="a@example.org")
    assert page(AuditFilter(), "-actor").events == [older, newer]
    sorted_by_time = page(AuditFilter(action="delete"), "-actor")
    assert (sorted_by_time.sort, sorted_by_time.events) == ("-at", [newer, older])
    assert page(AuditFilter(action="delete"), "at").events == [older, newer]


def test_a_text_that_is_somebody_s_name_is_paged_by_what_they_did_and_what_was_done_to_them() -> None:
    by = [an_event(2 * n, actor="ann@example.org").pk for n in range(10)]
    to = [an_event(2 * n + 1, key="ann@example.org", kind="user").pk for n in range(10)]
    an_event(0, on="messages from ann@example.org")
    chosen = AuditFilter(text="ann@example.org")
    assert [event.pk for event in every(chosen)] == [pk for pair in zip(by, to, strict=True) for pk in pair]
    first = page(chosen, size=6)
    second = [by[3], to[3], by[4], to[4], by[5], to[5]]
    assert [event.pk for event in page(chosen, after=first.following, size=6).events] == second


def test_what_was_done_to_each_of_many_stands_in_its_own_history_alone() -> None:
    whole = an_event(action="propagate defaults", on="users")
    part = an_event(action="propagate defaults", kind="user", key="ann@example.org", row_id=3, is_part=True)
    assert found() == [whole.pk]
    assert found(key="ann@example.org") == [part.pk]
    assert found(kind="user", row="3") == [part.pk]


def test_a_search_that_no_index_leads_to_stops_in_time_and_goes_on_from_there(monkeypatch: Any) -> None:
    monkeypatch.setattr("spool.filters.audit.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("spool.filters.keyset.WINDOW", 10)
    for n in range(35):
        an_event(n)
    meant = an_event(40, on="messages with the subject Needle")
    first = page(AuditFilter(text="needle"))
    assert first.events == [] and first.following and first.looked == NOW - timedelta(minutes=9)
    assert [event.pk for event in every(AuditFilter(text="needle"))] == [meant.pk]


PLANS = {
    "": "audit_at",
    "actor": "audit_actor",
    "action": "audit_action",
    "ip": "audit_ip",
    "key": "audit_key",
    "row": "audit_row",
}
CONDITIONS = {
    "": {},
    "actor": {"actor": "rare@example.org"},
    "action": {"action": "rare"},
    "ip": {"ip": "192.0.2.7"},
    "key": {"kind": "user", "key": "user7@example.org"},
    "row": {"kind": "user", "row": "7"},
}


@pytest.mark.parametrize("name", CONDITIONS, ids=lambda name: name or "all")
def test_each_condition_is_one_query_that_its_index_answers(name: str) -> None:
    many(20_000)
    explained_by_its_index(name)


def explained_by_its_index(name: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert page(AuditFilter.parse(CONDITIONS[name])).events
    [query] = queries
    explain = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    with connection.cursor() as cursor:
        cursor.execute(f"{explain}{query['sql']}")
        plan = "\n".join(str(row) for row in cursor.fetchall())
    assert PLANS[name] in plan and "Seq Scan" not in plan and "TEMP B-TREE" not in plan, plan


@pytest.mark.long
def test_with_a_million_rows_they_still_are() -> None:
    many(1_000_000)
    for name in CONDITIONS:
        explained_by_its_index(name)
