"""What alert rules can watch of the addresses that mail leaves from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.urls import reverse

from spool.alerts.watches import Watch, span_of
from spool.delivery import sources
from spool.models import AlertRule


class MissingSource(Watch):
    """Source addresses that are not on a machine that sends."""

    kind, label, unit, fix = "source-missing", "A source address is not on this machine", "minutes", "Source addresses"

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        return {
            row.address: max(1.0, (now - row.missing_since).total_seconds() / 60)
            for row in sources.missing_now()
            if row.missing_since is not None
        }

    def says(self, key: str) -> str:
        return key

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return f"The source address {key} has not been on this machine for {span_of(value)}: mail leaves from others"

    def page(self, key: str) -> str:
        return reverse("admin:spool_sourceaddress_changelist")
