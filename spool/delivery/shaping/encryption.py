"""How mail to each site was encrypted last: of each kind of proof the newest connection, for pages and commands.

Written at a connection, at most once in ten minutes for each kind; never for a message.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from base.expiring import ExpiringSet
from spool.delivery.shaping.limits import Key
from spool.delivery.shaping.write_behind import Later, WriteBehind
from spool.message.encryption import Proof, proof_of
from spool.models.destination import DestinationEncryption

AGAIN_SECONDS: Final = 600.0
KEPT: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Encryption:
    """One connection. `tls` is as an attempt has it: version, cipher and by what the host was verified; empty is clear
    text."""

    proof: Proof
    tls: str
    host: str
    domain: str
    at: datetime


_told: ExpiringSet[tuple[Key, Proof]] = ExpiringSet(AGAIN_SECONDS, 50_000)


class Seen:
    """What one worker has seen."""

    def __init__(self, later: Later) -> None:
        self._behind: WriteBehind[tuple[Key, Proof], Encryption] = WriteBehind(later, remember)

    def add(self, key: Key, domain: str, host: str, tls: str) -> None:
        """A connection for mail of that domain was opened."""
        proof = proof_of(tls)
        if _told.is_new((key, proof)):
            self._behind.put((key, proof), Encryption(proof, tls, host, domain, timezone.now()))


def remember(found: Sequence[tuple[tuple[Key, Proof], Encryption]]) -> None:
    """Write them down, in the caller's transaction."""
    DestinationEncryption.objects.bulk_create(
        [
            DestinationEncryption(
                site=key.site,
                source=key.source,
                proof=proof,
                tls=one.tls[:60],
                host=one.host[:255],
                domain=one.domain[:255],
                at=one.at,
            )
            for (key, proof), one in found
        ],
        update_conflicts=True,
        unique_fields=["site", "source", "proof"],
        update_fields=["tls", "host", "domain", "at"],
    )


def encryption_of(keys: Collection[Key]) -> dict[Key, list[Encryption]]:
    """The newest connection of each kind to each of these sites, newest first: one query."""
    found: defaultdict[Key, list[Encryption]] = defaultdict(list)
    wanted = set(keys)
    for row in DestinationEncryption.objects.filter(site__in={key.site for key in wanted}).order_by("-at"):
        if (key := Key(row.site, row.source)) in wanted:
            found[key].append(Encryption(Proof(row.proof), row.tls, row.host, row.domain, row.at))
    return dict(found)


def encryption_for(domain: str) -> list[Encryption]:
    """Those connections among them that were opened for mail of this domain, newest first: one query."""
    rows = DestinationEncryption.objects.filter(domain=domain.lower()).order_by("-at")
    return [Encryption(Proof(row.proof), row.tls, row.host, row.domain, row.at) for row in rows]


def forget_old(now: datetime) -> None:
    """SPOOL_HOUSEKEEPING: connections of long ago."""
    DestinationEncryption.objects.filter(at__lt=now - KEPT).delete()


def forget_told() -> None:
    """Have everything written down again at its next connection."""
    _told.clear()
