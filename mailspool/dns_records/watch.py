"""The alert about the DNS: records that were right, and are not any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db.models import Count
from django.urls import reverse

from mailspool.dns_records.names import HOST, HOST_KEY
from spool.alerts.watches import Watch
from spool.models import AlertRule
from spool.models.dns import BAD, DomainRecord


class BrokenRecords(Watch):
    """How many records of a domain, or of the host, have broken. One that never was right is no news."""

    kind, label, unit, fix = "dns", "A DNS record has broken", "records", "DNS records"

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        broken = DomainRecord.objects.filter(state__in=BAD, was_right__isnull=False).order_by()
        return {domain or HOST_KEY: float(n) for domain, n in broken.values_list("domain").annotate(Count("pk"))}

    def says(self, key: str) -> str:
        return "this host" if key == HOST_KEY else key

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        names = DomainRecord.objects.filter(
            domain=HOST if key == HOST_KEY else key, state__in=BAD, was_right__isnull=False
        )
        purposes = ", ".join(sorted(set(names.values_list("purpose", flat=True)))) or f"{value:,.0f} records"
        return f"The DNS of {self.says(key)} has broken: {purposes}"

    def page(self, key: str) -> str:
        return reverse("dns_domain", args=[key])
