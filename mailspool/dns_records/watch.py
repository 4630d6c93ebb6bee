"""The alert about the DNS: records that were right, and are not any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from django.db.models import Count, Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.numbers import grouped
from mailspool.dns_records.names import HOST, HOST_KEY
from spool.alerts.watches import Watch
from spool.models import AlertRule
from spool.models.dns import BAD, BLOCK_LIST, DomainRecord

_NEWS: Final = Q(was_right__isnull=False) | Q(purpose=BLOCK_LIST)


class BrokenRecords(Watch):
    """How many records of a domain, or of the host, have broken. One that never was right is no news; that an address
    of ours is on a block list always is.
    """

    kind, label, unit, fix = "dns", _lazy("A DNS record has broken"), _lazy("records"), _lazy("DNS records")

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        broken = DomainRecord.objects.filter(_NEWS, state__in=BAD).order_by()
        return {domain or HOST_KEY: float(n) for domain, n in broken.values_list("domain").annotate(Count("pk"))}

    def says(self, key: str) -> str:
        return _("this host") if key == HOST_KEY else key

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        names = DomainRecord.objects.filter(_NEWS, domain=HOST if key == HOST_KEY else key, state__in=BAD)
        listed = names.filter(purpose=BLOCK_LIST).order_by("place").first()
        if listed is not None:
            return listed.said.removesuffix(".")
        purposes = ", ".join(sorted(set(names.values_list("purpose", flat=True))))
        if not purposes:
            purposes = _("%(number)s records") % {"number": grouped(round(value))}
        return _("The DNS of %(says)s has broken: %(purposes)s") % {"says": self.says(key), "purposes": purposes}

    def page(self, key: str) -> str:
        return reverse("dns_domain", args=[key])
