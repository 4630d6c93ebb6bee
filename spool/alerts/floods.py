"""What alert rules can watch of what is handed in: floods, mail that is deferred, a backlog that grows, destinations
that refuse us. All of it is read from the counts (spool.traffic)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _lazy

from base.numbers import decimal
from spool.alerts.watches import MOST_SENDERS, Subject, Watch
from spool.models import AlertRule, TrafficKind, TrafficSeries
from spool.rows import traffic_figures
from spool.traffic.figures import RISE
from spool.traffic.rollup import DAY, minute_of, window_start

# Destinations of one rule that are watched at once.
MOST_DOMAINS: Final = 100


class Flood(Watch):
    """Base of those who suddenly hand in far more than in the rest of the day: a gateway's usual mail is no flood."""

    unit, has_minutes = _lazy("messages"), True
    counted: TrafficKind

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        known = set(open_keys)
        numbers = _fastest(self.counted, rule, now)
        seen = traffic_figures.totals([self.counted.value], list(numbers)) if numbers else []
        days = {key: day for _, key, day, _ in seen}
        share = rule.minutes / (DAY - rule.minutes)
        return {
            key: float(number)
            for key, number in numbers.items()
            if key in days
            and (key in known or (number >= rule.threshold and number > RISE * (days[key] - number) * share))
        }

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return gettext("%(says)s handed in %(value)s messages%(within)s") % {
            "says": self.says(key),
            "value": decimal(value, 0),
            "within": self.within(rule),
        }


class FloodOfUser(Flood):
    kind, label = "flood-user", _lazy("A user hands in far more than usual")
    counted, subject, fix = TrafficKind.HANDED_IN_USER, Subject.USER, _lazy("Contain account")

    def page(self, key: str) -> str:
        return f"/admin/spool/entry/?{urlencode({'auth-user': key})}"


class FloodOfSender(Flood):
    kind, label, about = (
        "flood-sender",
        _lazy("A sender without a login hands in far more than usual"),
        "<> (null sender)",
    )
    counted, subject, fix = TrafficKind.HANDED_IN_SENDER, Subject.SENDER, _lazy("Block or delete")

    def page(self, key: str) -> str:
        return f"/admin/spool/entry/?{urlencode({'sender': key or '<>'})}"


class FloodOfIP(Flood):
    kind, label = "flood-ip", _lazy("An IP address hands in far more than usual")
    counted, subject, fix = TrafficKind.HANDED_IN_IP, Subject.IP, _lazy("Blacklist IP")

    def page(self, key: str) -> str:
        return f"/admin/spool/entry/?{urlencode({'ip': key})}"


class DeferredOfUser(Watch):
    """Messages of one user that were not taken at their first attempt."""

    kind, label, unit, has_minutes = (
        "deferred-user",
        _lazy("Much of a user's mail is deferred"),
        _lazy("messages"),
        True,
    )
    counted, subject, fix = TrafficKind.DEFERRED_USER, Subject.USER, _lazy("Contain account")

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        known = set(open_keys)
        numbers = _fastest(self.counted, rule, now)
        return {key: float(number) for key, number in numbers.items() if key in known or number >= rule.threshold}

    def page(self, key: str) -> str:
        return f"/admin/spool/entry/?{urlencode({'auth-user': key})}"

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return gettext("%(value)s messages from %(says)s were deferred%(within)s") % {
            "value": decimal(value, 0),
            "says": self.says(key),
            "within": self.within(rule),
        }


class DeferredOfSender(DeferredOfUser):
    """The same of a sender without a login."""

    kind, label, about = "deferred-sender", _lazy("Much of a sender's mail is deferred"), "<> (null sender)"
    counted, subject, fix = TrafficKind.DEFERRED_SENDER, Subject.SENDER, _lazy("Block or delete")

    def page(self, key: str) -> str:
        return f"/admin/spool/entry/?{urlencode({'sender': key or '<>'})}"


class GrowingBacklog(Watch):
    """By how many messages the spool has grown, by the looks at its depth."""

    kind, label, unit, has_minutes = "growth", _lazy("The spool is growing"), _lazy("messages"), True
    fix = _lazy("Why messages are waiting")

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        since = window_start(minute_of(now), rule.minutes)
        looks = TrafficSeries.objects.filter(span=1, minute__gte=since).exclude(depth={}).order_by("minute")
        depths = [sum(depth.values()) for depth in looks.values_list("depth", flat=True)]
        return {"": float(max(0, depths[-1] - min(depths)))} if depths else {}

    def page(self, key: str) -> str:
        return "/admin/spool/entry/backlog/"

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return gettext("The spool grew by %(value)s messages%(within)s") % {
            "value": decimal(value, 0),
            "within": self.within(rule),
        }


class RefusingDestination(Watch):
    """How much of what is tried at a domain it refuses or defers; of few recipients no rate is made."""

    kind, label, unit, most, has_minutes = (
        "destination",
        _lazy("A destination refuses our mail"),
        _lazy("percent"),
        100,
        True,
    )
    fix = _lazy("Show what waits for it")

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        since = window_start(minute_of(now), rule.minutes)
        kinds = TrafficKind.REFUSED_DOMAIN.value, TrafficKind.ANSWERED_DOMAIN.value
        rows = traffic_figures.shares(*kinds, since, max(1, rule.at_least), MOST_DOMAINS)
        return {domain: min(100.0, 100 * lost / tried) for domain, lost, tried in rows if tried}

    def page(self, key: str) -> str:
        return f"/admin/spool/entry/?{urlencode({'domain': key})}"

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return gettext("%(key)s refused or deferred %(value)s %% of the recipients%(within)s") % {
            "key": key,
            "value": decimal(value, 0),
            "within": self.within(rule),
        }


def _fastest(kind: TrafficKind, rule: AlertRule, now: datetime) -> dict[str, int]:
    """Who has been counted so often in the rule's time that an alert may begin, or goes on."""
    since, least = window_start(minute_of(now), rule.minutes), max(1, int(min(rule.ends_at, rule.threshold)))
    return dict(traffic_figures.fastest(kind.value, since, least, MOST_SENDERS))
