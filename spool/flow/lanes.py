"""How much a pass takes up at once, and of what: nobody's mail waits behind mail that only waits for others.

In the wide lane is room for as many entries as may be delivered at once; those that only wait, for a host of which
nothing is known or for an engine, leave their room to others, up to MOST_PARKED times as much. Local mail has a lane of
its own besides, for when the wide one is full or has a backlog. Low priority, which notices have, gets a share of the
wide lane and no more, however many of them wait; and a tenth of what is taken up from a backlog, so that its turn comes
at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from spool.message.envelope import LeasedEntry
from spool.models.entry import Direction, Priority
from spool.models.settings import Settings

BATCH: Final = 100
# Entries in work are at most this many times "deliveries at once", when most of them wait for dead hosts.
MOST_PARKED: Final = 10
# Low priority gets at most this part of what may be in work.
LOW_SHARE: Final = 4
# And, of a backlog, this part.
RESERVED_SHARE: Final = 10
# So much content of entries without a file may be in the memory of a pass.
MOST_HELD_BYTES: Final = 64 * 1024 * 1024
# While there is a backlog of other mail, how often local mail is looked for where there was none.
LOCAL_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Want:
    """How many due entries to lease: `entries` of any kind, of which up to `low` may have low priority and `reserved`
    are kept for that. Where more is due than that, `local` more that are for this server alone.

    Of those that have no file, `held_bytes` may be in memory; the others get theirs.
    """

    entries: int = 0
    low: int = 0
    reserved: int = 0
    local: int = 0
    held_bytes: int = MOST_HELD_BYTES

    def __bool__(self) -> bool:
        return self.entries > 0 or self.local > 0


class Lanes:
    """The entries in the hands of one pass, and the room there is for more. Loop thread only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._no_local_before = float("-inf")
        self._entries: dict[int, LeasedEntry] = {}
        self._local = self._low = self._held_bytes = 0
        self._staged = self._staged_locally = 0
        self._wide = 1
        self._for_local = 1
        self._turn = 1
        # Whether low priority was due for which there was no room.
        self._low_waits = False
        # Whether there may be something to take up, in the wide lane and in the local one.
        self._look = self._look_locally = True

    def configure(self, settings: Settings, workers: int) -> None:
        """The limits as they are now; the workers share them evenly."""
        self._wide = -(-settings.max_deliveries // workers)
        # One batch is delivered while the next is made ready.
        self._for_local = 2 * -(-settings.max_local_deliveries // workers)

    def look(self) -> None:
        """Something may be due."""
        self._look = self._look_locally = True

    @property
    def is_looking(self) -> bool:
        return self._look

    def want(self, parked: int) -> Want:
        """What to lease now; `parked` is how many deliveries wait for hosts of which nothing is known."""
        local = min(BATCH, self._local_room()) if self._look_locally else 0
        room = min(BATCH, self._room(parked)) if self._look else 0
        if room <= 0:
            return Want(local=max(0, local), held_bytes=self._bytes_room())
        if self._clock() < self._no_local_before:
            local = 0
        low = max(0, min(room, self._low_room()))
        # With little room at a time the share is of turns.
        share = room // RESERVED_SHARE or (self._turn % RESERVED_SHARE == 0)
        return Want(room, low, min(low, int(share)), max(0, local), self._bytes_room())

    def has_room(self, parked: int) -> bool:
        """Whether any lane has room."""
        return self.has_wide_room(parked) or self._local_room() > 0

    def has_wide_room(self, parked: int) -> bool:
        return self._room(parked) > 0

    @property
    def is_crowded(self) -> bool:
        """Whether as much is in work as ever may be: most of that only waits, and nothing else is taken up."""
        return len(self._entries) >= MOST_PARKED * self._wide

    def asked(self, want: Want) -> None:
        """A look is taken at what is due."""
        if want.entries:
            self._look = self._look_locally = False
            self._turn += 1
        elif want.local:
            self._look_locally = False

    def answered(self, *, more: bool, more_local: bool, low_waits: bool, no_local: bool = False) -> None:
        """What the look has left: more in the wide lane, in the local one, of low priority. `no_local`: it was looked
        for local mail alone, and there was none.
        """
        if no_local:
            self._no_local_before = self._clock() + LOCAL_LOOK_SECONDS
        if more:
            self.look()
        self._look_locally = self._look_locally or more_local
        self._low_waits = self._low_waits or low_waits

    def take(self, entries: Iterable[LeasedEntry]) -> None:
        for entry in entries:
            self._entries[entry.id] = entry
            self._local += _is_local(entry)
            self._low += _is_low(entry)
            self._held_bytes += len(entry.content or b"")

    def drop(self, entry_id: int) -> LeasedEntry | None:
        """The entry is in these hands no more; which it was."""
        entry = self._entries.pop(entry_id, None)
        if entry is None:
            return None
        self._local -= _is_local(entry)
        self._low -= _is_low(entry)
        self._held_bytes -= len(entry.content or b"")
        if self._low_waits and _is_low(entry):
            self._low_waits, self._look = False, True
        return entry

    def into_stages(self, entries: Sequence[LeasedEntry]) -> None:
        self._staged += len(entries)
        self._staged_locally += sum(map(_is_local, entries))

    def out_of_stages(self, entries: Sequence[LeasedEntry]) -> None:
        self._staged -= len(entries)
        self._staged_locally -= sum(map(_is_local, entries))

    def __contains__(self, entry_id: int) -> bool:
        return entry_id in self._entries

    def __iter__(self) -> Iterator[LeasedEntry]:
        return iter(list(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def _bytes_room(self) -> int:
        return max(0, MOST_HELD_BYTES - self._held_bytes)

    def _room(self, parked: int) -> int:
        """As many as may be delivered at once may be in the stages before, which mostly wait for engines."""
        waiting = parked + min(self._staged, self._wide)
        return min(self._wide + waiting, MOST_PARKED * self._wide) - len(self._entries)

    def _local_room(self) -> int:
        return self._for_local + min(self._staged_locally, self._for_local) - self._local

    def _low_room(self) -> int:
        return max(1, self._wide // LOW_SHARE) - self._low


def _is_local(entry: LeasedEntry) -> bool:
    return entry.direction == Direction.INBOUND


def _is_low(entry: LeasedEntry) -> bool:
    return entry.priority <= Priority.LOW and entry.direction != Direction.INBOUND
