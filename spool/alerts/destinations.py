"""What alert rules can watch of the receivers that mail goes to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from urllib.parse import urlencode

from spool.alerts.watches import Watch, span_of
from spool.delivery.shaping import destinations
from spool.models import AlertRule


class RefusedAddress(Watch):
    """Sites that get nothing for a while, for they do not take mail from our address. Not those suspended by hand."""

    kind, label, unit = "suspended", "A destination refuses our address", "minutes"
    fix = "Show destination"

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        refusing = [site for site in destinations.sites() if site.is_suspended and not site.is_suspended_by_hand]
        return {site.key: max(1.0, (now - site.changed).total_seconds() / 60) for site in refusing}

    def says(self, key: str) -> str:
        return f"mail for {key}"

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return f"{key} has refused mail from our address for {span_of(value)}: nothing is sent there for a while"

    def page(self, key: str) -> str:
        return f"/admin/destinations/one/?{urlencode({'key': key})}"
