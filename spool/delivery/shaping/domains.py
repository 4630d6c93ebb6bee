"""Which site the mail of a domain goes to: workers find it out by the DNS and routes, pages and actions read it here.

It is written at the first connection for a domain, when that changes, and twice a day; never for a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from base.beginnings import beginning_with
from base.expiring import ExpiringDict
from spool.delivery.shaping.limits import Key
from spool.delivery.shaping.write_behind import Later, WriteBehind
from spool.models.destination import Destination, DestinationDomain

# A process writes a domain down again after so long, and one that nobody has written for so long is forgotten.
AGAIN_SECONDS: Final = 12 * 3600.0
KEPT: Final = timedelta(days=14)
# A provider may have any number of domains; pages and actions look at the latest of them.
MOST_DOMAINS: Final = 2_000
_AT_ONCE: Final = 5_000

_known: ExpiringDict[str, Key] = ExpiringDict(AGAIN_SECONDS, 50_000)


class Found:
    """What one worker has found."""

    def __init__(self, later: Later) -> None:
        self._behind: WriteBehind[str, Key] = WriteBehind(later, lambda found: remember(found, timezone.now()))

    def add(self, domain: str, key: Key) -> None:
        """Mail for a domain goes there. Does nothing where that was known."""
        if _known.get(domain) == key:
            return
        _known.keep(domain, key)
        self._behind.put(domain, key)


def remember(found: Iterable[tuple[str, Key]], now: datetime) -> None:
    """Write down where the mail of domains goes, in the caller's transaction."""
    rows = [DestinationDomain(domain=domain, site=key.site, source=key.source, seen=now) for domain, key in found]
    DestinationDomain.objects.bulk_create(
        rows, _AT_ONCE, update_conflicts=True, unique_fields=["domain"], update_fields=["site", "source", "seen"]
    )


def sites_of(domains: Sequence[str]) -> dict[str, Key]:
    """The sites of those domains of which that is known: a query for each _AT_ONCE."""
    found: dict[str, Key] = {}
    for start in range(0, len(domains), _AT_ONCE):
        rows = DestinationDomain.objects.filter(domain__in=domains[start : start + _AT_ONCE])
        found |= {row.domain: Key(row.site, row.source) for row in rows}
    return found


def domains_of(key: Key, most: int = MOST_DOMAINS) -> list[str]:
    """The domains whose mail goes to a site, by name, at most so many: one query."""
    # What leaves from several addresses of ours is written down for all of them.
    rows = DestinationDomain.objects.filter(site=key.site, source__in={key.source, ""}).order_by("domain")
    return list(rows.values_list("domain", flat=True)[:most])


def meant_by(text: str, most: int = 20) -> list[Key]:
    """Sites of that name, limited ones whose name begins so, and those of domains that do: three queries by index."""
    limited = [
        Key(*row)
        for row in Destination.objects.filter(site__istartswith=text)
        .order_by("site", "source")
        .values_list("site", "source")[:most]
    ]
    named = DestinationDomain.objects.filter(site=text).values_list("site", "source").distinct()
    of_domains = beginning_with(DestinationDomain.objects.all(), "domain", text.lower()).values_list("site", "source")
    return list(dict.fromkeys([*limited, *(Key(*row) for row in (*named[:most], *of_domains[: 10 * most]))]))[:most]


def with_mail(keys: Sequence[Key]) -> list[Key]:
    """Those, from whichever address of ours, that some domain has its mail with: one query."""
    if not keys:
        return []
    rows = DestinationDomain.objects.filter(site__in=[key.site for key in keys]).values_list("site", "source")
    return sorted((Key(*row) for row in rows.distinct()), key=str)


def forget_old(now: datetime) -> None:
    """SPOOL_HOUSEKEEPING: domains that had no mail for long."""
    DestinationDomain.objects.filter(seen__lt=now - KEPT).delete()


def forget_known() -> None:
    """Have everything written down again at its next connection."""
    _known.clear()
