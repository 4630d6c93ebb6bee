"""Alerts about engines that do not answer and about quarantines that outgrow their limit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from base.one_row import OneRow
from quarantine import alerts, check_counts
from quarantine.check_counts import Tallies
from quarantine.models import AntispamSettings, AntivirusSettings, Check, CheckKind, Item, ItemKind, QuarantineSize
from quarantine.models.check import forget_checks
from spool.alerts import outbox, response, watching
from spool.models import AlertEvent, AlertNotice, AlertRule, Entry, Status
from tests.console.conftest import administrator
from tests.spool.passing import Spool
from tests.support.ports import free_port

__all__ = ["administrator"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
NOW = datetime(2026, 3, 2, 23, 50, tzinfo=UTC)


def a_rule(kind: str, threshold: int) -> AlertRule:
    rule = AlertRule(name=f"Rule ({kind})", kind=kind, threshold=threshold, mail_to="ops@elsewhere.test")
    rule.full_clean()
    rule.save()
    return rule


def a_check(name: str, **columns: Any) -> None:
    Check.objects.create(name=name, kind=CheckKind.SPAMD, where="127.0.0.1:783", weight=1, **columns)
    forget_checks()


def asked(name: str, at: datetime, *, answered: int = 0, failed: int = 0) -> None:
    """What a worker writes down of a batch."""
    tallies = Tallies()
    for number in range(answered + failed):
        tallies[name].add(hit=False, failed=number < failed, seconds=0.1, error="no answer")
    check_counts.write_down(tallies, at)


def going_on() -> list[tuple[str, str]]:
    return list(AlertEvent.objects.filter(ended=None).order_by("pk").values_list("kind", "key"))


def look(at: datetime) -> None:
    OneRow.forget()
    with time_machine.travel(at):
        watching.look(at)


def test_an_engine_that_answers_nobody_for_long_is_an_alert_until_it_answers() -> None:
    a_rule("engine", 5)
    a_check("SpamAssassin")
    asked("SpamAssassin", NOW - timedelta(minutes=7), answered=1)
    asked("SpamAssassin", NOW - timedelta(minutes=6), failed=10)
    asked("SpamAssassin", NOW - timedelta(minutes=3), failed=3)
    look(NOW - timedelta(minutes=2))
    assert going_on() == []
    look(NOW)
    assert going_on() == [("engine", "SpamAssassin")] and AlertEvent.objects.get().value == pytest.approx(6)
    assert outbox.sentence(AlertNotice.objects.get()) == "Rule (engine) SpamAssassin: 6 minutes, the threshold is 5."
    asked("SpamAssassin", NOW + timedelta(seconds=5), answered=1, failed=1)
    look(NOW + timedelta(seconds=10))
    assert going_on() == []


def test_an_engine_that_fails_at_most_of_its_messages_is_an_alert_though_it_answers_some() -> None:
    a_rule("engine-failing", 25)
    AlertRule.objects.update(at_least=20, minutes=10)
    a_check("SpamAssassin")
    # What failed this morning says nothing of now.
    asked("SpamAssassin", NOW - timedelta(hours=5), answered=10, failed=900)
    look(NOW - timedelta(minutes=1))
    asked("SpamAssassin", NOW, answered=90, failed=10)
    look(NOW)
    assert going_on() == []
    asked("SpamAssassin", NOW + timedelta(minutes=1), answered=10, failed=200)
    look(NOW + timedelta(minutes=1))
    assert going_on() == [("engine-failing", "SpamAssassin")]
    event = AlertEvent.objects.get()
    assert response.sentence_of(event) == "SpamAssassin failed at 68 % of its messages within 10 minutes"
    # Nobody has asked since; and at midnight counts begin anew.
    look(NOW + timedelta(minutes=12))
    assert going_on() == [("engine-failing", "SpamAssassin")]
    asked("SpamAssassin", NOW + timedelta(minutes=13), answered=100)
    look(NOW + timedelta(minutes=14))
    assert going_on() == []


def test_midnight_ends_no_alert() -> None:
    a_rule("engine", 5)
    a_check("SpamAssassin")
    asked("SpamAssassin", NOW, failed=1)
    midnight = NOW + timedelta(minutes=10)
    asked("SpamAssassin", midnight + timedelta(minutes=1), failed=1)
    look(midnight + timedelta(minutes=2))
    assert going_on() == [("engine", "SpamAssassin")] and AlertEvent.objects.get().value == pytest.approx(12)
    asked("SpamAssassin", midnight + timedelta(minutes=3), answered=1)
    asked("SpamAssassin", midnight + timedelta(minutes=4), failed=1)
    look(midnight + timedelta(minutes=5))
    assert going_on() == []


def test_an_engine_that_fails_now_and_then_or_is_switched_off_is_none() -> None:
    a_rule("engine", 5)
    a_check("SpamAssassin")
    a_check("Off", inbound=False, outbound=False)
    for minute in range(20):
        asked("SpamAssassin", NOW + timedelta(minutes=minute), answered=1, failed=5)
        asked("Off", NOW + timedelta(minutes=minute), failed=5)
    look(NOW + timedelta(minutes=20))
    assert going_on() == []


def test_a_scanner_that_is_down_while_mail_waits_for_it_is_told_of(spool: Spool, setting: Callable[..., None]) -> None:
    a_rule("engine", 5)
    setting(AntivirusSettings, clamd_servers=f"127.0.0.1:{free_port()}")
    spool.take()
    spool.work()
    watching.look(timezone.now())
    assert going_on() == [] and Entry.objects.get().status == Status.VIRUS_CHECK
    spool.later(minutes=6)
    watching.look(timezone.now())
    assert going_on() == [("engine", "clamd")]


def test_a_quarantine_over_its_limit_is_an_alert_until_it_is_small_again(
    quarantined: Callable[..., Item], setting: Callable[..., None], administrator: Client
) -> None:
    rule = a_rule("quarantine", 100)
    setting(AntispamSettings, warn_mb=2)
    item = quarantined()
    quarantined(ItemKind.VIRUS)
    Item.objects.filter(id=item.id).update(size_bytes=3 * 1024 * 1024)
    now = timezone.now()
    look(now)
    assert going_on() == [("quarantine", "spam")] and AlertEvent.objects.get().value == pytest.approx(150)
    page = administrator.get("/admin/spool/alertevent/").content.decode()
    assert "Spam Quarantine" in page and "/admin/quarantine/item/spam/?sort=-size_bytes" in page and "150" in page
    assert "100 percent" in administrator.get("/admin/spool/alertrule/").content.decode()
    assert administrator.get(f"/admin/spool/alertrule/{rule.pk}/test/").status_code == 200
    item.delete()
    # Others than the alerts keep it fresh.
    with time_machine.travel(now + timedelta(minutes=2)):
        alerts.renew_sizes()
    look(now + timedelta(minutes=2))
    assert going_on() == []


def test_the_scheduler_adds_up_the_quarantines_once_a_minute(
    quarantined: Callable[..., Item], django_assert_num_queries: Any
) -> None:
    quarantined()
    alerts.renew_sizes()
    with django_assert_num_queries(2):
        alerts.renew_sizes()
    assert QuarantineSize.objects.get(kind="spam").items == 1
