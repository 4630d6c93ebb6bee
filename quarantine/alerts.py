"""What alert rules can watch here: engines that do not answer, and quarantines that outgrow their limit."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.numbers import decimal
from quarantine.engines.scanner import scanners_for
from quarantine.models.antivirus import AntivirusSettings
from quarantine.models.check import current_checks
from quarantine.models.item import ItemKind
from quarantine.models.size import RENEW_EVERY, size_of, warn_bytes
from quarantine.statistics import counts_since, silent_since
from spool.alerts.watches import NotNow, Watch, span_of
from spool.models import AlertRule


class SilentEngines(Watch):
    """A scanner or check in use that has answered nobody for so long, though it was asked: paused, hung or down."""

    kind, label, unit, fix = (
        "engine",
        _lazy("A scanner or check does not answer"),
        _lazy("minutes"),
        _lazy("Check status"),
    )

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return _("%(key)s has not answered for %(value)s") % {"key": key, "value": span_of(value)}

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        names = [*_scanners(), *(check.name for check in current_checks())]
        return {name: (now - since).total_seconds() / 60 for name, since in silent_since(names, now).items()}

    def page(self, key: str) -> str:
        about = "antivirus" if key in _scanners() else "antispam"
        return f"/admin/quarantine/{about}settings/1/change/"


class FailingEngines(SilentEngines):
    """How many of the questions within the minutes of the rule a scanner or check in use did not answer.

    Counts are kept by the day: the looks of this process, which remembers them for an hour, tell the minutes.
    """

    kind, label, unit, most = "engine-failing", _lazy("A scanner or check fails often"), _lazy("percent"), 100
    has_minutes = True

    def __init__(self) -> None:
        self._looks: deque[tuple[datetime, dict[tuple[str, date], tuple[int, int]]]] = deque()
        self._last: dict[str, float] = {}

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        names = [*_scanners(), *(check.name for check in current_checks())]
        counts = counts_since(names, now.date() - timedelta(days=1))
        since = now - timedelta(minutes=rule.minutes)
        while self._looks and self._looks[0][0] < now - _REMEMBERED:
            self._looks.popleft()
        self._looks.append((now, counts))
        began, before = next(look for look in self._looks if look[0] >= since)
        if now - began < _AT_FIRST:
            raise NotNow
        asked: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        for place, (runs, failures) in counts.items():
            earlier_runs, earlier_failures = before.get(place, (0, 0))
            asked[place[0]] += runs - earlier_runs
            failed[place[0]] += failures - earlier_failures
        # Of one that nobody has asked lately there is nothing new.
        kept = {key: self._last[key] for key in open_keys if key in self._last and key in names and not asked[key]}
        new = {name: 100.0 * failed[name] / asked[name] for name in names if asked[name] >= max(1, rule.at_least)}
        self._last = kept | new
        return self._last

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return _("%(key)s failed at %(value)s %% of its messages%(within)s") % {
            "key": key,
            "value": decimal(value, 0),
            "within": self.within(rule),
        }


# How long looks are remembered: as far as a rule may look back; and how far apart two must be to tell anything.
_REMEMBERED = timedelta(minutes=61)
_AT_FIRST = timedelta(seconds=30)


class FullQuarantine(Watch):
    """How much of its limit each quarantine takes on the disk."""

    kind, label, unit, fix = (
        "quarantine",
        _lazy("A quarantine takes too much of the disk"),
        _lazy("percent"),
        _lazy("Largest messages"),
    )

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return _("The %(says)s uses %(value)s %% of its size limit") % {
            "says": self.says(key),
            "value": decimal(value, 0),
        }

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        return {kind.value: 100 * size_of(kind, now).size_bytes / warn_bytes(kind) for kind in ItemKind}

    def page(self, key: str) -> str:
        return f"/admin/quarantine/item/{key or ItemKind.SPAM.value}/?sort=-size_bytes"

    def says(self, key: str) -> str:
        return (_("%(key)s Quarantine") % {"key": ItemKind(key).label}) if key in ItemKind.values else str(self.about)


def renew_sizes() -> None:
    """Add up what the quarantines take, unless that was done a moment ago (SPOOL_SWEEPS)."""
    for kind in ItemKind:
        size_of(kind, within=RENEW_EVERY)


def _scanners() -> list[str]:
    return [scanner.name for scanner in scanners_for(AntivirusSettings.current())]
