"""Alerts about who is over a limit for long, and about whom the anomaly guard has caught."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Metric, ThrottleAction
from spool.alerts import watching
from spool.models import AlertEvent, AlertRule
from tests.console.conftest import administrator
from tests.throttling.conftest import ANN, Throttled
from throttling.models import GuardAction, GuardEvent, ThrottleEvent
from throttling.subjects import SubjectKind

__all__ = ["administrator"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]


def a_rule(kind: str, threshold: int) -> None:
    rule = AlertRule(name=f"Rule ({kind})", kind=kind, threshold=threshold, mail_to="ops@elsewhere.test")
    rule.full_clean()
    rule.save()


def going_on() -> list[tuple[str, str]]:
    return list(AlertEvent.objects.filter(ended=None).order_by("kind", "key").values_list("kind", "key"))


def a_throttle(name: str, minutes: int, kind: SubjectKind = SubjectKind.USER, metric: Metric = Metric.MESSAGES) -> None:
    since = timezone.now() - timedelta(minutes=minutes)
    ThrottleEvent.objects.create(
        kind=kind,
        name=name,
        domain=name.rpartition("@")[2],
        metric=metric,
        action=ThrottleAction.DELAY,
        amount=10,
        used=10,
        since=since,
        last=since,
    )


def test_a_user_who_waits_for_a_limit_for_long_is_an_alert_until_released(
    throttled: Throttled, administrator: Client
) -> None:
    a_rule("throttled-user", 10)
    throttled.limit(messages_per_hour=2)
    throttled.send(4)
    throttled.spool.work()
    watching.look(timezone.now())
    assert going_on() == [], "only just"
    throttled.later(minutes=11)
    watching.look(timezone.now())
    assert going_on() == [("throttled-user", ANN)]
    shown = administrator.get("/admin/spool/alertevent/").content.decode()
    link = f"/admin/throttling/throttleevent/users/?q={ANN.replace('@', '%40')}"
    assert link in shown
    assert ANN in administrator.get(link).content.decode()
    ThrottleEvent.objects.update(ended=timezone.now())
    watching.look(timezone.now())
    assert going_on() == []


def test_lists_and_ips_are_watched_with_users_and_domains_by_themselves() -> None:
    a_rule("throttled-user", 10)
    a_rule("throttled-domain", 10)
    a_throttle("news@example.org", 20, SubjectKind.LIST)
    a_throttle("192.0.2.7", 20, SubjectKind.IP)
    a_throttle("example.org", 20, SubjectKind.DOMAIN, Metric.BOUNCES)
    a_throttle("new.example.org", 5, SubjectKind.DOMAIN)
    watching.look(timezone.now())
    assert going_on() == [
        ("throttled-domain", "example.org"),
        ("throttled-user", "192.0.2.7"),
        ("throttled-user", "news@example.org"),
    ]


def test_two_limits_of_one_user_are_one_alert_as_old_as_the_first() -> None:
    a_rule("throttled-user", 10)
    a_throttle(ANN, 20)
    a_throttle(ANN, 2, metric=Metric.BANDWIDTH)
    watching.look(timezone.now())
    assert AlertEvent.objects.get().value == pytest.approx(20, abs=0.5)


def test_whom_the_guard_has_caught_is_an_alert_unless_it_only_looked_on_or_was_overruled() -> None:
    a_rule("guard", 1)
    now = timezone.now()
    for user, dry_run, undone, minutes in (
        ("caught@example.org", False, None, 5),
        ("looked@example.org", True, None, 5),
        ("overruled@example.org", False, now, 5),
        ("long-ago@example.org", False, None, 50),
    ):
        GuardEvent.objects.create(
            user=user,
            domain="example.org",
            at=now - timedelta(minutes=minutes),
            action=GuardAction.HOLD,
            dry_run=dry_run,
            undone=undone,
            evidence=["Sent 200 messages."],
        )
    watching.look(now)
    assert going_on() == [("guard", "caught@example.org")]
    watching.look(now + timedelta(minutes=6))
    assert going_on() == [], "it is out of the rule's ten minutes"
