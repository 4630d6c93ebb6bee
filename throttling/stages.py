"""The stage that has mail wait while its sender is over a limit: `throttling.stages.HoldThrottled` in SPOOL_STAGES.

It looks at an entry before its first attempt only. What waits keeps its attempts, is looked at again when there should
be room for it, and goes in the order in which it came: of each subject, not of all. While every limit is far nothing is
asked: what goes is counted a moment later.

Recipients here wait for no limit on what leaves the server: the entry goes on for them, and comes by for the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import Error as DatabaseError
from django.db import connection

from spool.message.envelope import LeasedEntry
from spool.models.entry import Status
from spool.stages import HoldBack, Stage, StageContext, Verdict, WaitUntil
from throttling import collecting, events, subjects
from throttling.counting import ledger, limits
from throttling.counting.allowance import SettledSoon
from throttling.counting.ledger import Held
from throttling.counting.state import Rooms
from throttling.holding.decisions import decide, let_through
from throttling.models import ThrottleSettings
from throttling.subjects import Charge, IPLimits, Limited, of_cached

# A thread of its own, with its own connection: neither Redis nor what is read here ever holds up recording results.
threads = ThreadPoolExecutor(1, thread_name_prefix="throttle")
_MOST_KEPT = 1000

T = TypeVar("T")


class HoldThrottled(Stage):
    """Counts for limits that delay or only record, and has entries wait that are beyond the former."""

    status = Status.THROTTLED
    time_limit_seconds = 60.0

    def __init__(self) -> None:
        self._ip_limits: IPLimits = ()
        self._leeway = SettledSoon(self._count)
        self._counting: set[asyncio.Future[None]] = set()
        self._one_question = asyncio.Lock()
        # Whom the entries count for that this was asked about, until they come.
        self._limited: dict[int, list[Limited]] = {}

    def prepare(self) -> bool:
        self._ip_limits = ThrottleSettings.current().ip_limits
        return limits.any_at_all()

    def wants(self, entry: LeasedEntry, context: StageContext) -> bool:
        if entry.attempts or entry.status == Status.WAITING:
            # One that waits without an attempt was let through, and put off as its host rests.
            return False
        if entry.id in self._limited:
            return True
        limited = of_cached(entry, self._ip_limits)
        if limited:
            if len(self._limited) >= _MOST_KEPT:
                self._limited.clear()
            self._limited[entry.id] = limited
        # In doubt yes: then what is to be known is read for all that follow within the second.
        return limited is None or bool(limited)

    async def run(self, batch: Sequence[LeasedEntry], context: StageContext) -> Mapping[int, Verdict]:
        # A batch that comes while another asks waits for that answer, by which it may go without a question of its own:
        # where mail comes faster than answers do, every batch would ask otherwise.
        async with self._one_question:
            known = self._known(batch)
            if len(known) == len(batch) and let_through(known, self._leeway):
                verdicts: Mapping[int, Verdict] = {}
                note = ledger.writing_passages([one for one in known if one[1]], context.now)
            else:
                verdicts, note, rooms = await _in_thread(_run, batch, context, self._leeway.settle())
                self._leeway.heard(rooms)
        if note is not None:
            context.later(note)
        return verdicts

    def _known(self, batch: Sequence[LeasedEntry]) -> list[tuple[LeasedEntry, list[Limited]]]:
        """The entries of which it is known whom they count for: of all perhaps, by the question that was last asked."""
        known = []
        for entry in batch:
            limited = self._limited.pop(entry.id, None)
            if limited is None:
                limited = of_cached(entry, self._ip_limits)
            if limited is not None:
                known.append((entry, limited))
        return known

    async def close(self) -> None:
        self._leeway.settle_now()
        while self._counting:
            await asyncio.wait(self._counting)

    def _count(self, owed: tuple[Charge, ...]) -> None:
        task = asyncio.ensure_future(self._count_now(owed))
        self._counting.add(task)
        task.add_done_callback(self._counting.discard)

    async def _count_now(self, owed: tuple[Charge, ...]) -> None:
        _, rooms = await _in_thread(collecting.count, [owed])
        self._leeway.heard(rooms)


async def _in_thread(work: Callable[..., T], *arguments: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, work, *arguments)


Answer = tuple[Mapping[int, Verdict], Callable[[], None] | None, Rooms]


def _run(batch: Sequence[LeasedEntry], context: StageContext, owed: tuple[Charge, ...]) -> Answer:
    try:
        return _decided(batch, context, owed)
    except DatabaseError:
        # It did not outlive a restart of the database; once more with a new one, or the entries count as failed.
        connection.close()
        return _decided(batch, context, owed)


def _decided(batch: Sequence[LeasedEntry], context: StageContext, owed: tuple[Charge, ...]) -> Answer:
    """The verdicts on those that wait, what writes down that the others went on, and how much room there is now."""
    if not limits.any_at_all():
        return {}, None, {}
    decisions = decide(batch, ThrottleSettings.current().ip_limits, context.now, owed, context.owner)
    events.note(decisions.reached.values(), context.now)
    verdicts = {held.entry.id: _verdict(held) for held in decisions.held}
    return verdicts, ledger.writing_passages(decisions.going, context.now), decisions.rooms


def _verdict(held: Held) -> Verdict:
    """All of an entry waits, or those of its recipients who are elsewhere."""
    wait = WaitUntil(held.until, Status.THROTTLED, held.reason)
    waiting = subjects.braked(held.entry, held.charge.subject)
    return wait if len(waiting) == len(held.entry.recipients) else HoldBack(wait, frozenset(waiting))
