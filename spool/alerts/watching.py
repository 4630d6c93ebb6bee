"""When an alert begins and ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from spool.alerts.telling import tell
from spool.alerts.watches import watch_of
from spool.models import AlertEvent, AlertRule


@dataclass(frozen=True, slots=True)
class Change:
    """What a look at a rule's values changes."""

    begun: dict[str, float]
    going_on: dict[str, float]
    ended: dict[str, float]


def decide(values: Mapping[str, float], open_keys: Iterable[str], threshold: float, ends_at: float) -> Change:
    """Hysteresis: one begins at the threshold, and goes on until its value is below `ends_at`."""
    known = set(open_keys)
    begun = {key: value for key, value in values.items() if key not in known and value >= threshold}
    going_on = {key: values[key] for key in known if values.get(key, 0.0) >= min(ends_at, threshold)}
    ended = {key: values.get(key, 0.0) for key in known if key not in going_on}
    return Change(begun, going_on, ended)


def look(now: datetime) -> None:
    """Look at every rule, and begin and end alerts. Raises django.db.Error."""
    for rule in AlertRule.objects.filter(enabled=True):
        with transaction.atomic():
            # Another process may be looking too.
            locked = AlertRule.objects.select_for_update().filter(pk=rule.pk, enabled=True).first()
            if locked is not None:
                _look_at(locked, now)
    for event in AlertEvent.objects.filter(ended=None, is_test=False).exclude(rule__enabled=True):
        # Its rule was switched off or removed: nobody watches it any more.
        event.ended = now
        event.save(update_fields=["ended"])


def _look_at(rule: AlertRule, now: datetime) -> None:
    open_events = {event.key: event for event in rule.events.filter(ended=None, is_test=False)}
    values = watch_of(rule.kind).values(rule, now, open_events)
    change = decide(values, open_events, rule.threshold, rule.ends_at)
    for key, value in change.begun.items():
        event = AlertEvent.objects.create(
            rule=rule, rule_name=rule.name, kind=rule.kind, key=key, threshold=rule.threshold, value=value,
            highest=value, began=now,
        )  # fmt: skip
        tell(rule, event, "began", now)
    for key, value in (change.going_on | change.ended).items():
        event = open_events[key]
        event.value, event.highest = value, max(event.highest, value)
        event.ended = now if key in change.ended else None
        event.save(update_fields=["value", "highest", "ended"])
        if event.ended:
            tell(rule, event, "ended", now)
