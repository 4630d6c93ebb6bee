"""What every action has in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from base import clock
from base.actions.action import Action, Refused
from base.texts import Text
from spool.actions.actor import Actor
from spool.actions.selection import Selection
from spool.flow import leases
from spool.models.bulkjob import BulkJob
from spool.rows import entries

__all__ = ["Claimed", "Context", "Note", "Progress", "Refused", "Tally", "Verb", "claim"]


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of some entries: changed, on the wire and left alone, or left alone for another reason."""

    done: int = 0
    busy: int = 0
    skipped: int = 0
    problem: str = ""

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.done + other.done, self.busy + other.busy, self.skipped + other.skipped, self.problem or other.problem
        )


@dataclass(frozen=True, slots=True)
class Context:
    """On whose behalf a chunk is worked on, and when. `done` is how many the action has changed before."""

    actor: str
    event_id: int
    job_id: int
    now: datetime
    done: int = 0


# Called inside the transaction that changes a chunk's entries, once for each such transaction: what it did, and the
# last id that is finished. It raises when the work is no longer ours, and the transaction comes to nothing.
Progress = Callable[[Tally, int], None]
# The same where the last id that is finished does not change.
Note = Callable[[Tally], None]


class Verb(Action):
    """An action on messages, many or few, which a job does in chunks: it may be interrupted at any point, and goes on.

    `chunk` is how many entries are worked on at a time; `selects` says what it is done to.
    """

    past: ClassVar[Text]
    chunk: ClassVar[int] = 500
    # Whether it can be done to one recipient of a message: then `parameters` is given the `mailbox` that is meant.
    of_mailbox: ClassVar[bool] = False
    selects: ClassVar[type[Selection]] = Selection

    def require(self, actor: Actor, selection: Selection, given: Mapping[str, Any]) -> None:
        """Raises NotAllowed unless this person may do it to those, with the inputs that are given."""
        actor.require_verb(self.name, [name for name, value in given.items() if value])

    def suits(self, row: Any) -> bool:
        """Whether it makes sense to offer it for this one."""
        return True

    def past_of(self, parameters: Mapping[str, Any]) -> str:
        """What was done, for people: "12 " comes before it."""
        return str(self.past)

    def effect(self, parameters: Mapping[str, Any]) -> str:
        """What will happen, as a sentence for people to agree to."""
        raise NotImplementedError

    def chunks(self, job: BulkJob) -> Iterator[list[int]]:
        """The entries that a job has still to work on, in order and as many at a time as `chunk_for` says."""
        return self.selects.from_json(job.filter, job.ids).chunks(
            job.cursor, job.last_id, self.chunk_for(job.parameters)
        )

    def chunk_for(self, parameters: Mapping[str, Any]) -> int:
        """How many at a time, where that depends on what is asked for."""
        return self.chunk

    def is_repeatable(self, parameters: Mapping[str, Any]) -> bool:
        """Whether it changes rows alone, so that a chunk which a power cut took back can simply be done again."""
        return False

    def count(self, job: BulkJob) -> int:
        """How many they are, however long that takes."""
        return self.selects.from_json(job.filter, job.ids).count_all()

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        """Do it to `ids`, which are in order and at most `chunk`."""
        raise NotImplementedError

    def half_done(self, event_id: int) -> list[int]:
        """What a worker that died has left between two transactions of `work`, behind the last id that it noted."""
        return []

    def finish(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, note: Note) -> None:
        """Do the rest for those of `half_done`; `work` ends with it."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Claimed:
    """Of some ids: those that are ours to change until the transaction ends, and how many are not."""

    free: list[int]
    busy: int
    gone: int

    @property
    def others(self) -> Tally:
        """The entries that are left alone."""
        return Tally(busy=self.busy, skipped=self.gone, problem="already gone" if self.gone else "")


def claim(ids: Sequence[int], now: datetime) -> Claimed:
    """Lock the entries that nobody works on; those under lease are left to their worker. Call it in a transaction."""
    if not ids:
        return Claimed([], 0, 0)
    # Where the clock was set, a lease that looks lapsed may have a holder who is at work.
    was_set = clock.steps().within(leases.LEASE.total_seconds())
    free = entries.lock_free(ids, lapsed=None if was_set else now)
    if len(free) == len(ids):
        return Claimed(free, 0, 0)
    there = entries.count(ids)
    return Claimed(free, max(0, there - len(free)), len(ids) - max(there, len(free)))
