"""What alert rules can watch here: engines that do not answer, and quarantines that outgrow their limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from quarantine.engines.scanner import scanners_for
from quarantine.models.antivirus import AntivirusSettings
from quarantine.models.check import current_checks
from quarantine.models.item import ItemKind
from quarantine.models.size import RENEW_EVERY, size_of, warn_bytes
from quarantine.statistics import silent_since
from spool.alerts.watches import Watch
from spool.models import AlertRule


class SilentEngines(Watch):
    """A scanner or check in use that has answered nobody for so long, though it was asked: paused, hung or down."""

    kind, label, unit = "engine", "A scanner or check does not answer", "minutes"

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        names = [*_scanners(), *(check.name for check in current_checks())]
        return {name: (now - since).total_seconds() / 60 for name, since in silent_since(names, now).items()}

    def page(self, key: str) -> str:
        about = "antivirus" if key in _scanners() else "antispam"
        return f"/admin/quarantine/{about}settings/1/change/"


class FullQuarantine(Watch):
    """How much of its limit each quarantine takes on the disk."""

    kind, label, unit = "quarantine", "A quarantine takes too much of the disk", "percent"

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        return {kind.value: 100 * size_of(kind, now).size_bytes / warn_bytes(kind) for kind in ItemKind}

    def page(self, key: str) -> str:
        return f"/admin/quarantine/item/{key or ItemKind.SPAM.value}/?sort=-size_bytes"

    def says(self, key: str) -> str:
        return f"{ItemKind(key).label} Quarantine" if key in ItemKind.values else self.about


def renew_sizes() -> None:
    """Add up what the quarantines take, unless that was done a moment ago (SPOOL_SWEEPS)."""
    for kind in ItemKind:
        size_of(kind, within=RENEW_EVERY)


def _scanners() -> list[str]:
    return [scanner.name for scanner in scanners_for(AntivirusSettings.current())]
