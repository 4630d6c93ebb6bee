"""The alerts that go on now, for the top of the Overview."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from spool.alerts.watches import watch_of
from spool.models import AlertEvent

# Further ones are on the page of alerts.
MOST = 4


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """One of them; `link` is the page of what it is about."""

    rule: str
    about: str
    link: str
    measured: str
    began: datetime


@dataclass(frozen=True, slots=True)
class OpenAlerts:
    """The newest, and whether there are more."""

    shown: list[OpenAlert]
    more: bool


def open_alerts() -> OpenAlerts:
    """One query."""
    events = list(AlertEvent.objects.filter(ended=None, is_test=False).order_by("-began", "-id")[: MOST + 1])
    return OpenAlerts([_shown(event) for event in events[:MOST]], len(events) > MOST)


def _shown(event: AlertEvent) -> OpenAlert:
    watch = watch_of(event.kind)
    measured = f"{event.value:,.0f} {watch.unit} (threshold {event.threshold:,})"
    return OpenAlert(event.rule_name, watch.says(event.key), watch.page(event.key), measured, event.began)
