"""From which address of ours a message leaves, where several are configured (SourceAddress).

An entry has an order of addresses, by its sender and by weight, which is the same at each attempt: who greylists counts
by address. Of that order the first that works is taken, of IPv4 and of IPv6: one that is on this machine, and that the
receiver does not refuse. Without configured addresses a message costs a look whether there are some.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import math
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.core.exceptions import ValidationError
from django.db import Error as DatabaseError
from django.utils import timezone

from base.short_cache import ShortCache
from spool.message.envelope import LeasedEntry
from spool.models.source_address import SourceAddress, parse_senders
from spool.rows.keys import list_key

log = logging.getLogger(__name__)

FRESH_SECONDS: Final = 2.0
# How often each worker looks which of them are on its machine.
LOOK_SECONDS: Final = 10.0
NONE_HERE: Final = "none of our source addresses is on this machine"


@dataclass(frozen=True, slots=True)
class Source:
    """One address. `ehlo` is empty for this server's name."""

    address: str
    ehlo: str = ""
    weight: int = 1
    senders: tuple[str, ...] = ()

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.address


@dataclass(frozen=True, slots=True)
class Pair:
    """The addresses that a message leaves from, by the kind of its host. None: the system chooses; empty: there are
    some of that kind, and none of them is here.
    """

    ipv4: str | None = None
    ipv6: str | None = None

    def for_host(self, ip: str) -> str | None:
        return self.ipv6 if ":" in ip else self.ipv4


class Sources:
    """All that are enabled, as they were read."""

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        self.all = tuple(sources)
        self.by_address = {source.address: source for source in self.all}
        self.version = f" sources {hash(self.all) & 0xFFFFFFFF:x}" if self.all else ""
        self._usual = tuple(source for source in self.all if not source.senders and source.weight)
        self._named: dict[str, list[Source]] = {}
        for source in self.all:
            for sender in source.senders:
                self._named.setdefault(sender, []).append(source)

    def __bool__(self) -> bool:
        return bool(self.all)

    def ehlo_of(self, address: str) -> str:
        """What it calls itself; empty for this server's name."""
        source = self.by_address.get(address)
        return source.ehlo if source is not None else ""

    def order_for(self, entry: LeasedEntry) -> Sequence[Source]:
        """The addresses for its mail, the first choice first. Those that are not for its sender come last."""
        named = self._chosen_for(entry)
        usual = self._usual or self.all
        if not named:
            return _by_weight(usual, entry.id)
        rest = [source for source in usual if source not in named]
        return [*_by_weight(named, entry.id), *_by_weight(rest, entry.id)]

    def _chosen_for(self, entry: LeasedEntry) -> Sequence[Source]:
        if not self._named:
            return ()
        for name in (
            entry.auth_user.lower(),
            list_key(entry.origin, entry.sender),
            entry.sender.rpartition("@")[2].lower(),
        ):
            if name and (found := self._named.get(name)):
                return found
        return ()


NO_SOURCES: Final = Sources()


# What this process has said of them: passes come and go.
_told: dict[str, bool] = {}


class Local:
    """Which of them are on this machine, as one worker knows. Loop thread only: a look costs three system calls each.

    `tell` is told of each, and again when that changes.
    """

    def __init__(self, tell: Callable[[str, bool], None] | None = None) -> None:
        self._tell = tell
        self._looked = -math.inf
        self._for = NO_SOURCES
        self.missing: frozenset[str] = frozenset()

    def look(self, sources: Sources) -> None:
        """Now and then, and when they are others."""
        if not sources:
            self.missing = frozenset()
        elif sources is not self._for or time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked, self._for = time.monotonic(), sources
            self.missing = frozenset(source.address for source in sources.all if not is_here(source.address))
            for source in sources.all:
                self._note(source.address, is_missing=source.address in self.missing)

    def gone(self, address: str) -> None:
        """A connection could not be made from there."""
        self.missing |= {address}
        self._note(address, is_missing=True)

    def _note(self, address: str, *, is_missing: bool) -> None:
        before, _told[address] = _told.get(address), is_missing
        if before == is_missing:
            return
        if is_missing:
            log.error("the source address %s is not on this machine: mail leaves from others", address)
        elif before is not None:
            log.info("the source address %s is on this machine again", address)
        if self._tell is not None:
            self._tell(address, is_missing)


def is_here(address: str) -> bool:
    """Whether a connection can be made from there: whatever else is wrong shows when one is."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True


def _by_weight(sources: Sequence[Source], number: int) -> list[Source]:
    """In an order of its own for each number: over many each is the first as often as its weight says.

    Weighted rendezvous hashing: when one is left out, the order of the others stays.
    """
    if len(sources) < 2:
        return list(sources)
    return sorted(sources, key=lambda source: _score(source, number), reverse=True)


def _score(source: Source, number: int) -> float:
    digest = hashlib.blake2b(f"{source.address} {number}".encode(), digest_size=7).digest()
    by_chance = (int.from_bytes(digest, "big") + 0.5) / 2**56
    return -max(source.weight, 0.001) / math.log(by_chance)


def read() -> Sources:
    """One query. A row that can't be read is left out."""
    found = []
    for row in SourceAddress.objects.filter(enabled=True):
        try:
            found.append(Source(row.address, row.ehlo_name, row.weight, parse_senders(row.senders)))
        except ValidationError as error:
            log.error("the source address %s can't be read, and is left out: %s", row, error)
    before = _cache.last
    return before if before is not None and before.all == tuple(found) else Sources(found)


_cache = ShortCache(FRESH_SECONDS, read, outlasts=(DatabaseError,), name="source addresses")


def cached() -> Sources:
    """Read at most every FRESH_SECONDS by each process. May query: not for event loops."""
    return _cache.current()


def forget() -> None:
    """Drop this process's copy, and have everything told again."""
    _cache.forget()
    _told.clear()


def note_missing(address: str, machine: str, now: datetime, *, is_missing: bool) -> None:
    """Write down that an address is not on a machine, or is there again, in the caller's transaction."""
    rows = SourceAddress.objects.filter(address=address)
    if is_missing:
        rows.filter(missing_since__isnull=True).update(missing_since=now, missing_where=machine[:255])
    else:
        rows.filter(missing_where=machine[:255]).update(missing_since=None, missing_where="")


def missing_now() -> list[SourceAddress]:
    """Those that some machine does not have: one query."""
    return list(SourceAddress.objects.filter(enabled=True, missing_since__isnull=False))


def teller(later: Callable[[Callable[[], None]], None], machine: str) -> Callable[[str, bool], None]:
    """What has `note_missing` called in a transaction soon."""

    def tell(address: str, is_missing: bool) -> None:
        now = timezone.now()
        later(lambda: note_missing(address, machine, now, is_missing=is_missing))

    return tell
