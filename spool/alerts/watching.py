"""When an alert begins and ends."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Max

from base.edges import one_of_many
from spool.alerts.outbox import tell
from spool.alerts.watches import NotNow, watch_of
from spool.models import AlertEvent, AlertRule
from spool.monitoring.names import machine

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """What a look at a rule's values changes."""

    begun: dict[str, float]
    going_on: dict[str, float]
    ended: dict[str, float]


def decide(
    values: Mapping[str, float], open_keys: Iterable[str], threshold: float, ends_at: float, *, is_below: bool = False
) -> Change:
    """Hysteresis: one begins at the threshold, and goes on until its value is below `ends_at`.

    With `is_below` it is the other way round: it begins when the value has fallen to the threshold, and goes on until
    it is above `ends_at`.
    """
    known = set(open_keys)
    # Turned round, falling is rising.
    sign = -1 if is_below else 1
    until = min(sign * ends_at, sign * threshold)
    begun = {key: value for key, value in values.items() if key not in known and sign * value >= sign * threshold}
    going_on = {key: values[key] for key in known if key in values and sign * values[key] >= until}
    ended = {key: values.get(key, 0.0) for key in known if key not in going_on}
    return Change(begun, going_on, ended)


def look(now: datetime) -> None:
    """Look at every rule, and begin and end alerts. Raises OperationalError and InterfaceError.

    A rule that can't be looked at, whatever its watch met, keeps no other from being looked at.
    """
    rules = list(AlertRule.objects.filter(enabled=True))
    ready: set[str] = set()
    for kind in {rule.kind for rule in rules}:
        with one_of_many(log, "the alert rules about %s can't be looked at", kind, seldom=True), suppress(NotNow):
            watch_of(kind).prepare()
            ready.add(kind)
    for rule in rules:
        if rule.kind not in ready:
            continue
        with (
            one_of_many(log, "the alert rule %s could not be looked at", rule.name, seldom=True),
            suppress(NotNow),
            transaction.atomic(),
        ):
            # Another process may be looking too.
            locked = AlertRule.objects.select_for_update().filter(pk=rule.pk, enabled=True).first()
            if locked is not None:
                _look_at(locked, now)
    for event in AlertEvent.objects.filter(ended=None, is_test=False).exclude(rule__enabled=True):
        # Its rule was switched off or removed: nobody watches it any more.
        event.ended = now
        event.save(update_fields=["ended"])


def look_back(kind: str, began: datetime, ended: datetime) -> None:
    """Tell of what went on while nothing could be written down, and is over. Raises django.db.Error."""
    minutes = (ended - began).total_seconds() / 60
    for rule in AlertRule.objects.filter(enabled=True, kind=kind, threshold__lte=minutes):
        with transaction.atomic():
            event = AlertEvent.objects.create(
                rule=rule,
                rule_name=rule.name,
                kind=rule.kind,
                key=machine(),
                threshold=rule.threshold,
                value=minutes,
                highest=minutes,
                began=began,
                ended=ended,
            )
            tell(rule, event, "ended", ended)


def _look_at(rule: AlertRule, now: datetime) -> None:
    watch = watch_of(rule.kind)
    events = rule.events.filter(ended=None, is_test=False)
    open_events = {event.key: event for event in events if watch.is_mine(event.key)}
    values = watch.values(rule, now, open_events)
    change = decide(values, open_events, rule.threshold, rule.ends_at, is_below=watch.is_below)
    for key, value in change.begun.items():
        event = AlertEvent.objects.create(
            rule=rule,
            rule_name=rule.name,
            kind=rule.kind,
            key=key,
            threshold=rule.threshold,
            value=value,
            highest=value,
            began=now,
            muted_until=_muted_until(rule, key, now),
        )
        if event.muted_until is None:
            tell(rule, event, "began", now)
    furthest = min if watch.is_below else max
    for key, value in (change.going_on | change.ended).items():
        event = open_events[key]
        event.value, event.highest = value, furthest(event.highest, value)
        event.ended = now if key in change.ended else None
        event.save(update_fields=["value", "highest", "ended"])
        if event.ended and not (event.muted_until and event.muted_until > now):
            tell(rule, event, "ended", now)


def _muted_until(rule: AlertRule, key: str, now: datetime) -> datetime | None:
    """Until when the rule was told to be silent about that key."""
    return rule.events.filter(key=key, muted_until__gt=now).aggregate(until=Max("muted_until"))["until"]
