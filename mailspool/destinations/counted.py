"""What waits for each site and how fast it goes, counted once for all who look within a few seconds.

The oldest that wait are counted, along their index, up to a number; of sites that are limited also what waits beyond
those, domain by domain and as far as a bound. Nothing reads all of the spool.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.core.cache import cache
from django.utils import timezone

from spool.delivery.shaping import domains
from spool.delivery.shaping.limits import Key
from spool.models import DestinationDomain, TrafficKind
from spool.rows import backlog, traffic_figures
from spool.rows.traffic_figures import Ranked
from spool.traffic.rollup import minute_of

KEPT_SECONDS: Final = 10
# The oldest that wait are counted, up to here, as the backlog map does.
MOST_ENTRIES: Final = 10_000
# The domains with most mail within a day have their sites listed, whether or not anything waits.
BUSIEST: Final = 300
# Of the sites that are limited: so many domains, so many recipients of each, and of all together, beyond the oldest of
# the spool.
MOST_PROBED: Final = 100
MOST_OF_DOMAIN: Final = 1_000
MOST_RECIPIENTS: Final = 12_000
MOST_READ: Final = 2_000
LATELY_MINUTES: Final = 5
_NAMED: Final = 40


@dataclass(slots=True)
class Counted:
    """What there is of one site, or of a domain whose site is not known. `more`: not all of what waits was counted.

    `answered` and `refused` are recipients of the last LATELY_MINUTES; who is refused or deferred is answered, too.
    """

    waiting: int = 0
    more: bool = False
    oldest: datetime | None = None
    answered: int = 0
    refused: int = 0
    domains: list[str] = field(default_factory=list)

    @property
    def per_minute(self) -> float:
        """Recipients that were delivered."""
        return max(0, self.answered - self.refused) / LATELY_MINUTES

    def adds(self, domain: str, number: int, oldest: datetime | None) -> None:
        self.waiting += number
        if oldest is not None:
            self.oldest = oldest if self.oldest is None else min(self.oldest, oldest)
        if len(self.domains) < _NAMED and domain not in self.domains:
            self.domains.append(domain)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it. `partial`: only the `looked` oldest that wait were counted, and there are more."""

    sites: Mapping[Key, Counted]
    unknown: Mapping[str, Counted]
    looked: int
    partial: bool


def snapshot(limited: Sequence[Key]) -> Snapshot:
    """As it is, or was a few seconds ago. Of those that are `limited` what waits is known best."""
    kept: Snapshot | None = cache.get("mailspool.destinations")
    if kept is None:
        kept = _count(timezone.now(), limited)
        cache.set("mailspool.destinations", kept, KEPT_SECONDS)
    return kept


def _count(now: datetime, limited: Sequence[Key]) -> Snapshot:
    looked, waits = backlog.by_domain(MOST_ENTRIES)
    waits.sort(key=lambda row: (-row[1], row[0]))
    partial = looked >= MOST_ENTRIES
    busiest = [key for _, key, _, _ in traffic_figures.largest([Ranked(TrafficKind.ANSWERED_DOMAIN.value)], BUSIEST)]
    keys = domains.sites_of(list(dict.fromkeys([*(domain for domain, _, _ in waits), *busiest])))
    sites: dict[Key, Counted] = {}
    unknown: dict[str, Counted] = {}
    for domain, number, oldest in waits:
        key = keys.get(domain)
        place = sites.setdefault(key, Counted()) if key is not None else unknown.setdefault(domain, Counted())
        place.adds(domain, number, oldest)
    for domain in busiest:
        if (key := keys.get(domain)) is not None:
            sites.setdefault(key, Counted()).adds(domain, 0, None)
    _add_speed(sites, minute_of(now))
    if partial:
        for place in (*sites.values(), *unknown.values()):
            place.more = place.waiting > 0
        _look_further(sites, limited)
    return Snapshot(sites, unknown, looked, partial)


def _add_speed(sites: dict[Key, Counted], minute: int) -> None:
    kinds = TrafficKind.ANSWERED_DOMAIN.value, TrafficKind.REFUSED_DOMAIN.value
    for site, source, kind, number in traffic_figures.by_site(kinds, minute - LATELY_MINUTES + 1):
        place = sites.setdefault(Key(site, source), Counted())
        if kind == TrafficKind.REFUSED_DOMAIN:
            place.refused = number
        else:
            place.answered = number


def _look_further(sites: dict[Key, Counted], limited: Iterable[Key]) -> None:
    """What waits for limited sites may be younger than the oldest of the spool."""
    wanted = set(limited)
    names: dict[Key, list[str]] = {key: list(sites[key].domains) if key in sites else [] for key in wanted}
    rows = DestinationDomain.objects.filter(site__in={key.site for key in wanted}).order_by("site", "domain")
    for known in rows[:MOST_READ]:
        if (key := Key(known.site, known.source)) in names and known.domain not in names[key]:
            names[key].append(known.domain)
    each = max(1, MOST_PROBED // max(1, len(wanted)))
    keys = dict([(domain, key) for key, some in names.items() for domain in some[:each]][:MOST_PROBED])
    found: dict[Key, Counted] = {}
    looked: Counter[str] = Counter()
    most = min(MOST_OF_DOMAIN, MOST_RECIPIENTS // max(1, len(keys)))
    for row in backlog.of_domains(list(keys), most):
        place = found.setdefault(keys[row.domain], Counted())
        looked[row.domain] += row.recipients
        place.more = place.more or looked[row.domain] >= most
        if row.error is not None:
            place.adds(row.domain, row.number, row.oldest)
    for key, place in found.items():
        before = sites.setdefault(key, Counted())
        if place.waiting > before.waiting:
            before.waiting, before.more, before.oldest = place.waiting, place.more, place.oldest
            before.domains = list(dict.fromkeys([*place.domains, *before.domains]))[:_NAMED]
