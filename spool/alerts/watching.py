"""When an alert begins and ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Sum

from spool import statements
from spool.alerts.telling import tell
from spool.models import AlertEvent, AlertKind, AlertRule, Entry, TrafficKind, TrafficSeries
from spool.traffic.rolling import minute_of, window_start

# Senders of one rule that are watched at once.
MOST_SENDERS = 100


@dataclass(frozen=True, slots=True)
class Change:
    """What a look at a rule's values changes."""

    begun: dict[str, float]
    going_on: dict[str, float]
    ended: dict[str, float]


def decide(values: dict[str, float], open_keys: Iterable[str], threshold: float, ends_at: float) -> Change:
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
    change = decide(values_of(rule, now, open_events), open_events, rule.threshold, rule.ends_at)
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


def values_of(rule: AlertRule, now: datetime, open_keys: Iterable[str] = ()) -> dict[str, float]:
    """The values that a rule looks at, by sender for a rule about senders and by "" for the others."""
    if rule.kind == AlertKind.SENDER:
        return _senders(rule, now, list(open_keys))
    if rule.kind == AlertKind.DEPTH:
        return {"": float(Entry.objects.count())}
    if rule.kind == AlertKind.OLDEST:
        oldest = Entry.objects.order_by("id").values_list("created", flat=True).first()
        return {"": (now - oldest).total_seconds() / 60 if oldest else 0.0}
    return {"": _bounce_rate(rule, now)}


def _senders(rule: AlertRule, now: datetime, open_keys: list[str]) -> dict[str, float]:
    """Those at the threshold or above, and those of open alerts; the fastest first."""
    since = window_start(minute_of(now), rule.minutes)
    rows = statements.execute(
        "SELECT key, SUM(number) FROM spool_trafficcount WHERE span = 1 AND minute >= %s AND kind = %s"
        " GROUP BY key HAVING SUM(number) >= %s ORDER BY SUM(number) DESC LIMIT %s",
        (since, TrafficKind.RECEIVED_SENDER.value, max(1, int(min(rule.ends_at, rule.threshold))), MOST_SENDERS),
    ).fetchall()
    return {key: float(number) for key, number in rows if key in open_keys or number >= rule.threshold}


def _bounce_rate(rule: AlertRule, now: datetime) -> float:
    sums = TrafficSeries.objects.filter(span=1, minute__gte=window_start(minute_of(now), rule.minutes)).aggregate(
        bounced=Sum("bounced", default=0), local=Sum("delivered_local", default=0),
        remote=Sum("delivered_remote", default=0),
    )  # fmt: skip
    ended = sum(sums.values())
    return 100.0 * sums["bounced"] / ended if ended and ended >= rule.at_least else 0.0
