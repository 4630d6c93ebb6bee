"""The list of addresses that mail of a domain of ours is not for any more: what is noted there, and who asks.

Each domain has its own, and says what follows from it (accounts.models.suppression). postmaster@ and abuse@ are never
on it: by them one is told that something is wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import directory
from accounts.addresses import domain_of, key_of
from accounts.models.suppression import SuppressionMode
from base.batches import batched
from base.expiring import ExpiringDict
from spool.message.summary import storable
from spool.models.settings import Settings, current
from spool.models.suppression import Finding, Suppression, SuppressionReason

log = logging.getLogger(__name__)

# Statuses that say that nobody has the address, or that its domain takes no mail (RFC 3463 3.2, RFC 7505, RFC 5248).
DEAD: Final = frozenset({"5.1.1", "5.1.6", "5.1.10"})
FRESH_SECONDS: Final = 5.0
MOST_SHOWN: Final = 5
_EXEMPT: Final = frozenset({"postmaster", "abuse"})
_QUERY_SIZE: Final = 500
_MOST_FORGOTTEN: Final = 5_000
# What holds against a bounce: it says more, or somebody meant it.
_STRONGER: Final = frozenset({SuppressionReason.COMPLAINT.value, SuppressionReason.MANUAL.value})
_SAID: Final = {
    SuppressionReason.BOUNCE.value: "mail to it bounced for good",
    SuppressionReason.COMPLAINT.value: "its reader complained about mail",
    SuppressionReason.MANUAL.value: "an administrator added it",
}

Pair = tuple[str, str]
_answers: ExpiringDict[Pair, str] = ExpiringDict(FRESH_SECONDS)


def is_exempt(address: str) -> bool:
    """Whether an address is never suppressed."""
    return key_of(address).rpartition("@")[0].partition("+")[0] in _EXEMPT


def domains_that(domains: Collection[str], *modes: str) -> set[str]:
    """Those of `domains` that are ours and have one of `modes`; the directory is asked once."""
    found = directory.local_domains(domains)
    return {one.name for one in found.values() if one is not None and one.suppression in modes}


def in_order(rows: QuerySet[Suppression]) -> Iterator[Suppression]:
    """`rows` by domain and address, a part at a time as they are read, each found by the index: however many there are,
    the first comes at once, and the memory for one part is enough."""
    domain = ""
    while True:
        found = rows.filter(domain__gt=domain).order_by("domain").values_list("domain", flat=True).first()
        if found is None:
            return
        domain, address = found, ""
        of_domain = rows.filter(domain=domain).order_by("address")
        while part := list(of_domain.filter(address__gt=address)[:_QUERY_SIZE]):
            yield from part
            address = part[-1].address


def note(findings: Iterable[Finding], now: datetime) -> None:
    """Write down what was found, for the domains that want it. What is there already begins anew; a bounce changes
    nothing of a complaint, or of what somebody has added. Raises django.db.Error."""
    given = {(one.domain, key_of(one.address)): one for one in findings if not is_exempt(one.address)}
    if not given:
        return
    noting = domains_that({domain for domain, _ in given}, *(set(SuppressionMode.values) - {SuppressionMode.OFF.value}))
    settings = current()
    for some in batched([pair for pair in given if pair[0] in noting], _QUERY_SIZE):
        strong = {
            (row.domain, row.address)
            for row in Suppression.objects.filter(address__in=[address for _, address in some], reason__in=_STRONGER)
        }
        store(
            [
                Suppression(
                    domain=pair[0],
                    address=storable(pair[1], 320),
                    reason=given[pair].reason,
                    evidence=storable(given[pair].evidence, 500),
                    since=now,
                    expires=expiry(given[pair].reason, settings, now),
                )
                for pair in some
                if pair not in strong or given[pair].reason != SuppressionReason.BOUNCE
            ]
        )


def store(rows: Collection[Suppression]) -> None:
    """Put rows into the list, in the place of those of the same domain and address."""
    Suppression.objects.bulk_create(
        rows,
        batch_size=_QUERY_SIZE,
        update_conflicts=True,
        unique_fields=["address", "domain"],
        update_fields=["reason", "evidence", "since", "expires"],
    )
    forget()


def expiry(reason: str, settings: Settings, now: datetime) -> datetime | None:
    """When an address that is listed now is let off; None for never."""
    days = {
        SuppressionReason.BOUNCE.value: settings.suppress_bounce_days,
        SuppressionReason.COMPLAINT.value: settings.suppress_complaint_days,
    }.get(str(reason), 0)
    return now + timedelta(days=days) if days else None


def find(pairs: Collection[Pair], now: datetime) -> dict[Pair, Suppression]:
    """What is listed of (domain, key of an address), in a query for 500 addresses."""
    found: dict[Pair, Suppression] = {}
    for some in batched(sorted({address for _, address in pairs}), _QUERY_SIZE):
        rows = Suppression.objects.filter(Q(expires=None) | Q(expires__gt=now), address__in=some)
        found.update(((row.domain, row.address), row) for row in rows)
    return {pair: found[pair] for pair in pairs if pair in found}


def of_address(address: str, now: datetime) -> list[Suppression]:
    """For the mail of which domains an address is listed, a few of them: one query."""
    listed = Suppression.objects.filter(Q(expires=None) | Q(expires__gt=now), address=key_of(address))
    return list(listed.order_by("-since")[:MOST_SHOWN])


def cached_refusal(domain: str, address: str) -> str | None:
    """The sentence with which such mail is refused, "" for none; None when it has to be looked up."""
    return _answers.get((domain, key_of(address)))


def refusal(domain: str, address: str) -> str:
    """The same, looked up if need be; remembered for five seconds."""
    pair = (domain, key_of(address))
    row = None if is_exempt(address) else find([pair], timezone.now()).get(pair)
    return _answers.keep(pair, sentence(row) if row is not None else "")


def sentence(row: Suppression) -> str:
    """Why mail to it is refused: for replies, so nothing that others wrote is in it."""
    return (
        f"{row.domain} sends nothing to this address since {row.since:%Y-%m-%d} because"
        f" {_SAID.get(row.reason, row.reason)}; its administrators can remove it from the suppression list"
    )


def forget() -> None:
    """Drop what this process remembers."""
    _answers.clear()


def tidy(now: datetime) -> None:
    """SPOOL_HOUSEKEEPING: forget those whose time is over, some thousands at a time."""
    over = Suppression.objects.filter(expires__lte=now).order_by("expires").values_list("pk", flat=True)
    while some := list(over[:_MOST_FORGOTTEN]):
        Suppression.objects.filter(pk__in=some).delete()


def domain_of_sender(sender: str) -> str:
    """The domain on whose list a recipient of that sender would be."""
    return domain_of(sender) if "@" in sender else ""
