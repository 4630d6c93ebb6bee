"""The alert about the DNS: records that were right, and are not any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.models import Domain
from base.numbers import grouped
from mailspool.dns_records.looking import keys_shown_at
from mailspool.dns_records.names import HOST, HOST_KEY
from spool.alerts.watches import Watch
from spool.models import AlertRule
from spool.models.dns import BAD, BLOCK_LIST, DomainRecord, RecordState
from spool.signing.published import lost_keys

SILENT: Final = timedelta(days=7)
_NEWS: Final = Q(was_right__isnull=False) | Q(purpose=BLOCK_LIST)


def _places_of_lost_keys() -> list[str]:
    """Where each DKIM key is shown that signed until its record was gone or wrong: mail leaves unsigned since."""
    domains = list(lost_keys().values_list("domain", flat=True))
    ours = set(Domain.objects.filter(name__in=domains).values_list("name", flat=True))
    of_host = {key.domain for key in keys_shown_at(HOST)} if set(domains) - ours else set()
    return [one if one in ours else HOST_KEY for one in domains if one in ours | of_host]


class BrokenRecords(Watch):
    """How many records of a domain, or of the host, have broken, DKIM keys among them. One that never was right is no
    news; that an address of ours is on a block list always is.
    """

    kind, label, unit, fix = "dns", _lazy("A DNS record has broken"), _lazy("records"), _lazy("DNS records")

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        broken = DomainRecord.objects.filter(_NEWS, state__in=BAD).order_by()
        found = {domain or HOST_KEY: float(n) for domain, n in broken.values_list("domain").annotate(Count("pk"))}
        for key in _places_of_lost_keys():
            found[key] = found.get(key, 0.0) + 1
        # While the DNS does not answer nothing is known to be mended; but what is never known ends at some time.
        named = [HOST if key == HOST_KEY else key for key in open_keys]
        silent = DomainRecord.objects.filter(domain__in=named, state=RecordState.UNKNOWN, was_right__gt=now - SILENT)
        for domain, n in silent.order_by().values_list("domain").annotate(Count("pk")):
            found.setdefault(domain or HOST_KEY, float(n))
        return found

    def says(self, key: str) -> str:
        return _("this host") if key == HOST_KEY else key

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        names = DomainRecord.objects.filter(_NEWS, domain=HOST if key == HOST_KEY else key, state__in=BAD)
        listed = names.filter(purpose=BLOCK_LIST).order_by("place").first()
        if listed is not None:
            return listed.said.removesuffix(".")
        of_keys = ["DKIM"] if key in _places_of_lost_keys() else []
        purposes = ", ".join(sorted({*names.values_list("purpose", flat=True), *of_keys}))
        if not purposes:
            purposes = _("%(number)s records") % {"number": grouped(round(value))}
        return _("The DNS of %(says)s has broken: %(purposes)s") % {"says": self.says(key), "purposes": purposes}

    def page(self, key: str) -> str:
        return reverse("dns_domain", args=[key])
