"""Alerts about what is handed in: floods, deferred mail, a growing backlog, destinations that refuse; and silence."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.utils import timezone

from accounts.models import Role
from base.audit.models import AuditEvent
from spool.actions import Actor
from spool.alerts import response, watching
from spool.alerts.watches import span_of
from spool.models import AlertEvent, AlertNotice, AlertRule, Entry, TrafficSeries, TrafficState
from spool.models.entry import Direction, Priority
from spool.rows import statements, traffic_batches
from spool.traffic import rollup

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
NOW = datetime(2026, 3, 2, 12, 30, 40, tzinfo=UTC)
ROOT = Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR)
DAN, TOM, IP = "dan@example.org", "tom@far.test", "192.0.2.7"


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def a_rule(kind: str, threshold: int, **more: Any) -> AlertRule:
    rule = AlertRule(name=kind, kind=kind, threshold=threshold, minutes=5, mail_to="ops@elsewhere.test", **more)
    rule.full_clean()
    rule.save()
    return rule


def test_due_mail_that_no_worker_takes_is_told_by_its_room(clock: time_machine.Traveller) -> None:
    a_rule("untaken", 5)
    now = timezone.now()
    for name, direction, priority, minutes in (
        ("a", Direction.INBOUND, Priority.NORMAL, 6),
        ("b", Direction.OUTBOUND, Priority.NORMAL, 4),
        ("c", Direction.OUTBOUND, Priority.LOW, 60),
    ):
        Entry.objects.create(
            file_name=f"{name}.eml",
            subspool="subspool0001",
            direction=direction,
            priority=priority,
            size_bytes=1,
            recipients_total=1,
            created=now,
            due_at=now - timedelta(minutes=minutes),
        )
    watching.look(now)
    [event] = AlertEvent.objects.filter(ended=None)
    assert (event.kind, event.key) == ("untaken", "local")
    assert response.sentence_of(event) == "Mail for this server has been due for 6 minutes and no worker has taken it"
    Entry.objects.all().delete()
    watching.look(timezone.now())
    assert not AlertEvent.objects.filter(ended=None).exists()


def receive(number: int, minutes: int = 0, login: str = DAN, sender: str = DAN, ip: str = IP) -> None:
    moment = NOW - timedelta(minutes=minutes)
    with statements.write_transaction():
        traffic_batches.receipts([(sender, ip, True)] * number, moment, [login] * number)
    rollup.roll_up()


def end(outcome: str, number: int, domain: str) -> None:
    ending: traffic_batches.Ending = (outcome, "remote", DAN, IP, f"x@{domain}", NOW.isoformat())
    with statements.write_transaction():
        traffic_batches.endings([ending] * number, NOW, [DAN] * number)
    rollup.roll_up()


def defer(number: int, login: str = DAN, domain: str = "far.test") -> None:
    with statements.write_transaction():
        traffic_batches.endings([], NOW, [], [(login, TOM, IP, [domain])] * number)
    rollup.roll_up()


def going_on(at: datetime = NOW) -> dict[str, str]:
    """The key of each alert that goes on, and its sentence."""
    watching.look(at)
    found = AlertEvent.objects.filter(ended=None).select_related("rule")
    return {event.key: response.sentence_of(event) for event in found}


@pytest.mark.parametrize(
    ("kind", "login", "key"), [("flood-user", DAN, DAN), ("flood-sender", "", TOM), ("flood-ip", "", IP)]
)
def test_whoever_suddenly_hands_in_far_more_than_usual_is_a_flood(kind: str, login: str, key: str) -> None:
    a_rule(kind, 300)
    receive(299, login=login, sender=TOM)
    assert going_on() == {}
    receive(201, login=login, sender=TOM)
    assert going_on() == {key: f"{key} handed in 500 messages within 5 minutes"}
    assert going_on(NOW + timedelta(minutes=10)) == {}


def test_what_is_usual_for_somebody_all_day_is_no_flood() -> None:
    a_rule("flood-user", 300)
    for hours in range(1, 24):
        receive(4000, 60 * hours)
    receive(400)
    assert going_on() == {}
    receive(2000)
    assert list(going_on()) == [DAN]


def test_mail_that_is_deferred_is_told_by_who_handed_it_in() -> None:
    a_rule("deferred-user", 100)
    a_rule("deferred-sender", 100)
    defer(99)
    defer(120, login="")
    assert going_on() == {TOM: f"120 messages from {TOM} were deferred within 5 minutes"}
    defer(1)
    assert set(going_on()) == {TOM, DAN}


def test_a_destination_that_refuses_more_than_it_takes_is_told_unless_it_was_asked_little() -> None:
    a_rule("destination", 50, at_least=20)
    end("bounced", 9, "small.test")
    end("bounced", 15, "bad.test")
    defer(15, domain="bad.test")
    end("delivered", 10, "bad.test")
    end("bounced", 30, "good.test")
    end("delivered", 300, "good.test")
    assert going_on() == {"bad.test": "bad.test refused or deferred 75 % of the recipients within 5 minutes"}


def test_a_spool_that_grows_is_told_until_it_does_not() -> None:
    a_rule("growth", 1000)
    minute = rollup.minute_of(NOW)
    for ago, depth in ((5, 5000), (3, 5400), (1, 6100)):
        TrafficSeries.objects.create(span=1, minute=minute - ago, depth={"waiting": depth, "remote": 10})
    assert going_on() == {"": "The spool grew by 1,100 messages within 5 minutes"}
    later = NOW + timedelta(minutes=5)
    TrafficSeries.objects.create(span=1, minute=minute + 4, depth={"waiting": 6000})
    assert going_on(later) == {}


def test_who_mutes_an_alert_hears_nothing_of_it_nor_of_the_next_until_then(clock: time_machine.Traveller) -> None:
    a_rule("flood-user", 10)
    receive(20)
    watching.look(NOW)
    event = AlertEvent.objects.get()
    assert AlertNotice.objects.count() == 1
    assert response.mute(ROOT, event, NOW + timedelta(hours=1)) == "Muted until 2026-03-02 13:30."
    watching.look(NOW + timedelta(minutes=10))
    assert AlertEvent.objects.filter(ended=None).count() == 0
    receive(20, minutes=-20)
    watching.look(NOW + timedelta(minutes=20))
    again = AlertEvent.objects.get(ended=None)
    assert again.muted_until == NOW + timedelta(hours=1)
    assert AlertNotice.objects.count() == 1
    assert response.unmute(ROOT, again) == "Unmuted."
    watching.look(NOW + timedelta(minutes=40))
    assert [notice.says for notice in AlertNotice.objects.order_by("pk")] == ["began", "ended"]
    flood = f"{DAN} handed in 20 messages within 5 minutes"
    assert [(event.actor, event.on, event.outcome) for event in AuditEvent.objects.order_by("pk")] == [
        (ROOT.name, flood, "Muted until 2026-03-02 13:30"),
        (ROOT.name, flood, "Unmuted"),
    ]
    receive(20, minutes=-50)
    watching.look(NOW + timedelta(minutes=50))
    assert AlertNotice.objects.count() == 3


def test_who_acknowledges_an_alert_is_written_down() -> None:
    a_rule("flood-user", 10)
    receive(20)
    watching.look(NOW)
    response.acknowledge(ROOT, AlertEvent.objects.get())
    event = AlertEvent.objects.get()
    assert (event.acknowledged, event.acknowledged_by) == (NOW, ROOT.name)
    written = AuditEvent.objects.get()
    assert (written.action, written.key, written.outcome) == ("acknowledge alert", "flood-user", "Acknowledged")


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0.2, "1 minute"), (5, "5 minutes"), (119, "119 minutes"), (120, "2 hours"), (4400, "3 days")],
)
def test_a_span_is_told_in_its_largest_unit(minutes: float, words: str) -> None:
    assert span_of(minutes) == words


def test_an_installation_that_runs_gets_the_new_rules_once_and_they_tell_nobody() -> None:
    make = importlib.import_module("spool.migrations.0022_rules_of_attention").make
    make(apps, None)
    assert not AlertRule.objects.exists()
    TrafficState.objects.all().delete()
    TrafficState.objects.create(since=NOW, rolled=NOW)
    own = AlertRule.objects.create(name="My engines", kind="engine", threshold=60)
    AlertRule.objects.create(name="Flood by a user", kind="oldest", threshold=60)
    make(apps, None)
    kinds = list(AlertRule.objects.values_list("kind", flat=True))
    assert {"flood-sender", "flood-ip", "destination"} < set(kinds) and kinds.count("engine") == 1
    assert set(AlertRule.objects.exclude(pk=own.pk).values_list("mail_to", flat=True)) == {""}
    for rule in AlertRule.objects.all():
        rule.full_clean()
