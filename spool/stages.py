"""The way of an entry through the spool, as a chain of stages named in settings (SPOOL_STAGES).

A stage is asked, entry by entry and without cost, whether it has anything to do; those entries are handed to it as one
batch, and it answers for each with a verdict. The last stage is always `Delivery`. To add one:

    class Archive(Stage):
        status = Status.SPAM_CHECK
        def wants(self, entry, context): return entry.size_bytes < 10_000_000
        async def run(self, batch, context): ...; return {}

    SPOOL_STAGES.insert(-1, "example.Archive")

in a settings file of one's own (docs/configuration.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from spool.message.envelope import LeasedEntry, WaitUntil
from spool.models.entry import Status
from spool.models.settings import Settings

__all__ = [
    "Delivery",
    "DeliveryDelay",
    "HoldBack",
    "Stage",
    "StageContext",
    "Taken",
    "Verdict",
    "WaitUntil",
    "load_stages",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StageContext:
    """What a stage may know of the pass that runs it. `owner` is who holds the entries' leases.

    `later` has rows written in the pass's next transaction, a moment later: for what holds up no mail, and may be lost
    with the worker. Loop thread only.
    """

    settings: Settings
    now: datetime
    owner: str
    database: Executor
    later: Callable[[Callable[[], None]], None]

    async def in_database(self, work: Callable[[], T]) -> T:
        """Do `work`, which reads or writes rows, in the pass's database thread. It must not take long."""
        return await asyncio.get_running_loop().run_in_executor(self.database, work)


@dataclass(frozen=True, slots=True)
class Taken:
    """The stage has removed the entry from the spool itself (quarantined it, for example)."""


@dataclass(frozen=True, slots=True)
class HoldBack:
    """The `recipients` (their ids) rest as `wait` says; the entry goes on for the others, and comes by for these again.

    This is no attempt for those who rest.
    """

    wait: WaitUntil
    recipients: frozenset[int]


Verdict = WaitUntil | HoldBack | Taken


class Stage:
    """One step. An entry that `run` does not mention goes on to the next stage."""

    status: Status = Status.DELIVERY_DELAY
    time_limit_seconds: float = 300.0

    def prepare(self) -> bool:
        """Whether the stage may want any entry at all now.

        Called in the database thread each time before entries are leased: the place to look at settings, by a copy
        that is kept for a second. A stage that says no is not asked about any entry, and costs nothing.
        """
        return True

    def wants(self, entry: LeasedEntry, context: StageContext) -> bool:
        """Whether this stage has something to do for `entry`; called for every entry, so it must be cheap."""
        raise NotImplementedError

    async def run(self, batch: Sequence[LeasedEntry], context: StageContext) -> Mapping[int, Verdict]:
        """Verdicts by entry id.

        One that raises is run again for each entry of the batch alone; who fails then is backed off, and held in time.
        An OperationalError, InterfaceError or RedisError is no entry's failure: they wait a moment.
        """
        raise NotImplementedError

    def remember(self, entries: Sequence[LeasedEntry]) -> None:
        """Write down what `run` has noted of entries (LeasedEntry.notes) that have come to rest, and come by again.

        Called in the database thread, once their state is committed. It can only be to save work: a worker that is
        killed remembers nothing. Raises django.db.Error.
        """

    def inherit(self, children: Sequence[tuple[int, LeasedEntry]]) -> None:
        """Write down for new entries what `run` has noted of those that they are made of: forwards, copies of lists.

        `children` are the new ones' ids, each with what it is made of. Called in the transaction that makes them, so
        that what was found out about a message holds for all that becomes of it. Raises django.db.Error.
        """

    async def close(self) -> None:
        """The pass ends: bring to an end what `run` has left open. Must not raise."""


class DeliveryDelay(Stage):
    """Lets outside programs look at a message before each attempt. New mail is born with it; this is for retries."""

    status = Status.DELIVERY_DELAY

    def wants(self, entry: LeasedEntry, context: StageContext) -> bool:
        return entry.status == Status.WAITING and context.settings.delivery_delay_seconds > 0

    async def run(self, batch: Sequence[LeasedEntry], context: StageContext) -> Mapping[int, Verdict]:
        due = context.now + timedelta(seconds=context.settings.delivery_delay_seconds)
        return {entry.id: WaitUntil(due, Status.DELIVERY_DELAY) for entry in batch}


class Delivery(Stage):
    """The end of every chain: the pass hands what arrives here to local and remote delivery."""

    status = Status.REMOTE_DELIVERY

    def wants(self, entry: LeasedEntry, context: StageContext) -> bool:
        return True


def load_stages() -> list[Stage]:
    """The stages before delivery, made from SPOOL_STAGES. Raises ImproperlyConfigured."""
    stages = [import_string(path)() for path in django_settings.SPOOL_STAGES]
    if not stages or not isinstance(stages[-1], Delivery):
        raise ImproperlyConfigured("SPOOL_STAGES must end with spool.stages.Delivery.")
    return stages[:-1]
