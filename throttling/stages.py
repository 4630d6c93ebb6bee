"""The stage that has mail wait while its sender is over a limit: `throttling.stages.HoldThrottled` in SPOOL_STAGES.

It looks at an entry before its first attempt only. What waits keeps its attempts, is looked at again when there should
be room for it, and goes in the order in which it came: of each subject, not of all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from django.db import Error as DatabaseError
from django.db import connection

from spool.envelope import LeasedEntry
from spool.models.entry import Status
from spool.stages import Stage, StageContext, Verdict, WaitUntil
from throttling import events, ledger, limits
from throttling.deciding import decide
from throttling.models import ThrottleSettings
from throttling.subjects import IPLimits, may_be_limited

# A thread of its own, with its own connection: neither Redis nor what is read here ever holds up recording results.
threads = ThreadPoolExecutor(1, thread_name_prefix="throttle")


class HoldThrottled(Stage):
    """Counts for limits that delay or only record, and has entries wait that are beyond the former."""

    status = Status.THROTTLED
    time_limit_seconds = 60.0

    def __init__(self) -> None:
        self._ip_limits: IPLimits = ()

    def prepare(self) -> bool:
        self._ip_limits = ThrottleSettings.current().ip_limits
        return limits.any_at_all()

    def wants(self, entry: LeasedEntry, context: StageContext) -> bool:
        # In doubt yes: then what is to be known is read for all that follow within the second.
        return not entry.attempts and may_be_limited(entry, self._ip_limits)

    async def run(self, batch: Sequence[LeasedEntry], context: StageContext) -> Mapping[int, Verdict]:
        verdicts, note = await asyncio.get_running_loop().run_in_executor(threads, _run, batch, context)
        if note is not None:
            context.later(note)
        return verdicts


Answer = tuple[Mapping[int, Verdict], Callable[[], None] | None]


def _run(batch: Sequence[LeasedEntry], context: StageContext) -> Answer:
    try:
        return _decided(batch, context)
    except DatabaseError:
        # It did not outlive a restart of the database; once more with a new one, or the entries count as failed.
        connection.close()
        return _decided(batch, context)


def _decided(batch: Sequence[LeasedEntry], context: StageContext) -> Answer:
    """The verdicts on those that wait, and what writes down that the others went on."""
    if not limits.any_at_all():
        return {}, None
    decisions = decide(batch, ThrottleSettings.current().ip_limits, context.now)
    note = ledger.write(decisions.going, decisions.held, context.now)
    events.note(decisions.reached.values(), context.now)
    return {held.entry.id: WaitUntil(held.until, Status.THROTTLED, held.reason) for held in decisions.held}, note
