"""One pass: a worker takes due entries in batches and sees them through, until nothing is due any more.

The loop thread does the network; one database thread takes leases and records results (see rounds.py), so that a
commit never holds up a connection. While a round runs, further results gather for the next. A pass that has nothing to
do listens to the doorbell for some seconds before it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import uvloop
from django.db import DataError, IntegrityError, connection
from django.db import Error as DatabaseError
from django.utils import timezone
from redis.exceptions import RedisError

from base import edges
from spool.delivery.answers import AnswerFile
from spool.delivery.deliveries import Deliveries
from spool.delivery.remote import rests
from spool.delivery.remote.tls_sessions import Sessions
from spool.delivery.replies import error_group
from spool.delivery.shaping.brakes import Brakes, Progress
from spool.delivery.shaping.limits import Key
from spool.delivery.sources import Local, teller
from spool.files import store, working
from spool.flow import doorbell, leases, local_bell
from spool.flow.lanes import Lanes, Want
from spool.flow.rounds import Failure, Round, Rounds
from spool.message.envelope import DeliveryReport, LeasedEntry
from spool.models.entry import ON_THEIR_WAY, Status
from spool.monitoring import programs
from spool.monitoring.names import machine
from spool.monitoring.programs import Live
from spool.places import contents
from spool.rows import statements
from spool.stages import HoldBack, Stage, StageContext, Verdict, WaitUntil, load_stages

log = logging.getLogger(__name__)

LINGER_SECONDS = 5.0
# How often a pass looks at the database unasked: Redis may be away.
POLL_SECONDS = 2.0
# What stages leave for later is written by then, whether or not anything else is.
LATER_SECONDS = 0.2
DRAIN_SECONDS = 25.0
# So many results are recorded at once: when thousands come together, mail that is due meanwhile does not wait for all.
MOST_RECORDED = 200
# How often hosts that say nothing are given up while all that may be in work only waits.
MAKE_WAY_SECONDS = 1.0
# A stage that takes longer is shown as the status of its entries.
SLOW_SECONDS = 0.5
# Larger entries go through the stages by themselves: looking into them takes longer.
LARGE_BYTES = 1_000_000
# What waits for a host that is back is due so many at a time.
WAKE_AT_ONCE, WAKE_SECONDS = 500, 2.0
# What is not about a message, and for how long its stage then lets it be.
OUTAGES = (*edges.OUTAGES, RedisError)
OUTAGE_PAUSE = timedelta(seconds=10)

_database = ThreadPoolExecutor(1, thread_name_prefix="database")
# Asks the database for large messages that have no file.
_reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
_ear = ThreadPoolExecutor(1, thread_name_prefix="doorbell")
_stop = threading.Event()
# How it went with sites that refused something: a pass may end after each message that has its turn.
_progress: dict[Key, Progress] = {}
_running: Pass | None = None


def run() -> None:
    """Run one pass in this process. Never raises for what a message does."""
    global _running
    try:
        doorbell.answered()
    except RedisError as error:
        log.warning("Redis is away: %s", error)
    if _stop.is_set():
        return
    if programs.is_draining():
        # What this ring was for is for another machine.
        doorbell.ring()
        return
    _running = Pass()
    try:
        uvloop.run(_running.run())
    finally:
        _running = None


def request_stop() -> None:
    """End the running pass soon, and let none begin in this process. Safe in a signal handler."""
    _stop.set()
    if _running is not None:
        _running.wake()


def is_stopping() -> bool:
    """Whether `request_stop` was called."""
    return _stop.is_set()


def in_work() -> int:
    """How many messages this process has under lease. From any thread."""
    running = _running
    return running.in_work if running is not None else 0


def _ends() -> bool:
    """Whether a pass is to finish what is on the wire, and leave the rest to others."""
    return _stop.is_set() or programs.is_draining()


class Pass:
    """State of one pass. Its methods run in the loop thread, but for `wake`."""

    def __init__(self) -> None:
        self.owner = leases.new_owner()
        self._stages = load_stages()
        self._rounds = Rounds(self.owner, self._stages)
        self._answers = AnswerFile(self.owner)
        self._finished: list[DeliveryReport] = []
        self._failed: list[Failure] = []
        self._resting: list[tuple[LeasedEntry, WaitUntil]] = []
        self._left: list[LeasedEntry] = []
        self._later: list[Callable[[], None]] = []
        # Entries that are shown in a stage, for it took long.
        self._seen: set[int] = set()
        self._working = Lanes()
        self._tasks: set[asyncio.Task[object]] = set()
        self._leaving = False
        self._has_fetched = False
        self._made_way = 0.0
        self._next_due: datetime | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()

    @property
    def in_work(self) -> int:
        return len(self._working)

    def wake(self) -> None:
        """From any thread or signal handler: look at what there is to do."""
        if self._loop is not None:
            # One that is closed needs no waking.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._event.set)

    async def run(self) -> None:
        """Work until idle for LINGER_SECONDS, or until a stop is requested."""
        self._loop = asyncio.get_running_loop()
        self._deliveries = Deliveries(
            self._delivered,
            self._broken,
            self._lapsed,
            self._answers,
            self._came_back,
            Brakes(self._leave_for_later, self._pull, kept=_progress),
            Sessions(self._leave_for_later),
            Local(teller(self._leave_for_later, machine())),
        )
        listening = doorbell.Listening(self.owner)
        self._local = local_bell.Ear(self._heard)
        helpers = [asyncio.ensure_future(self._listen(listening)), asyncio.ensure_future(self._renew())]
        try:
            await self._work_until_idle(listening)
        finally:
            for task in helpers:
                task.cancel()
            rang = self._local.close()
            if not self._leaving:
                await self._loop.run_in_executor(_ear, _leave, listening)
            if rang or _ends():
                # What the last ring was for is for another pass.
                await self._loop.run_in_executor(_ear, doorbell.ring)
            await self._drain()
            self._answers.close()
            if self._has_fetched:
                await self._loop.run_in_executor(_reader, _read_no_more)
            await self._loop.run_in_executor(_database, self._rounds.close)
        if self._next_due is not None and not _ends():
            await self._loop.run_in_executor(_ear, doorbell.ring_at, self._next_due)

    async def _work_until_idle(self, listening: doorbell.Listening) -> None:
        idle_since = time.monotonic()
        while not _ends():
            if self._left:
                await self._give_back()
            if self._working.is_crowded:
                self._make_way()
            want = self._working.want(self._deliveries.parked)
            if self._finished or self._failed or self._resting or want:
                if await self._round(want):
                    idle_since = time.monotonic()
                continue
            if self._working:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > LINGER_SECONDS:
                if not await self._rang_meanwhile(listening):
                    return
                self._working.look()
                idle_since = time.monotonic()
                continue
            await self._rest()

    def _make_way(self) -> None:
        """Give up hosts that say nothing, now and then."""
        if time.monotonic() - self._made_way >= MAKE_WAY_SECONDS:
            self._made_way = time.monotonic()
            self._deliveries.park_stalled()
            self._deliveries.give_up_silent()

    async def _rest(self) -> None:
        """Wait for a result, a ring, or the next due entry; look again after POLL_SECONDS in any case."""
        pause = POLL_SECONDS
        if not self._working:
            self._answers.rest()
        if self._next_due is not None and self._working.has_wide_room(self._deliveries.parked):
            pause = min(pause, max(0.01, (self._next_due - timezone.now()).total_seconds()))
        if self._later:
            pause = min(pause, LATER_SECONDS)
        if self._working.is_crowded:
            pause = min(pause, MAKE_WAY_SECONDS)
        try:
            await asyncio.wait_for(self._event.wait(), pause)
        except TimeoutError:
            self._working.look()
        self._event.clear()

    async def _round(self, want: Want) -> bool:
        """Record all that has finished and lease what is wanted; whether there was anything."""
        if len(self._finished) > MOST_RECORDED:
            # What has come to its end goes before what waits on.
            self._finished.sort(key=lambda report: report.waits)
        finished, self._finished = self._finished[:MOST_RECORDED], self._finished[MOST_RECORDED:]
        failed, self._failed = self._failed, []
        resting, self._resting = self._resting, []
        later, self._later = self._later, []
        if (write := rests.unwritten()) is not None:
            later.append(write)
        self._working.asked(want)
        assert self._loop is not None
        try:
            here = await self._loop.run_in_executor(
                _database, self._rounds.visit, finished, failed, resting, want, later
            )
        except DatabaseError as error:
            log.error("no leases could be taken, trying again: %s", error)
            # Rows that the database will never take must not be in the way for ever.
            self._later[:0] = [] if isinstance(error, DataError | IntegrityError) else later
            await asyncio.sleep(1)
            self._working.look()
            here = None
        self._answers.recorded(report.entry.id for report in finished)
        for entry in [*(r.entry for r in finished), *(f.entry for f in failed), *(e for e, _ in resting)]:
            self._drop(entry.id)
        if here is not None:
            self._take_up(here)
        return bool(finished or failed or resting or (here and here.leased))

    def _take_up(self, here: Round) -> None:
        live = programs.known().live
        self._working.configure(here.settings, live.here)
        rests.learn(here.resting)
        self._deliveries.configure(
            here.settings, here.routes, here.keys, here.limits, live, here.rules, here.sources, here.plan
        )
        self._next_due = here.next_due
        self._working.answered(
            more=here.more, more_local=here.more_local, low_waits=here.low_waits, no_local=here.no_local
        )
        # One that is here already has lapsed: it must not be sent twice, and is given back when its turn comes.
        here.leased = [entry for entry in here.leased if entry.id not in self._working]
        self._working.take(here.leased)
        if here.failed:
            self._failed += here.failed
            self._event.set()
        if here.more or here.more_local:
            self._call_others(live)
        if not here.leased:
            return
        at_hand = [entry for entry in here.leased if entry.streamed is None]
        if len(at_hand) < len(here.leased):
            self._keep(self._fetch([entry for entry in here.leased if entry.streamed is not None], here))
        if at_hand:
            self._begin(at_hand, here)

    def _call_others(self, live: Live) -> None:
        """There is enough for another worker too: one that rests begins. On SQLite, where one writes at a time, only if
        there is no room for it here: the limits are divided by those that run, whether they have work or not.
        """
        is_full = not self._working.has_wide_room(self._deliveries.parked)
        begins = live.everywhere > 1 and (is_full or not statements.on_sqlite())
        assert self._loop is not None
        self._loop.run_in_executor(_ear, doorbell.ring_for_another if begins else doorbell.ring)

    def _begin(self, entries: Sequence[LeasedEntry], here: Round) -> None:
        context = StageContext(here.settings, timezone.now(), self.owner, _database, self._leave_for_later)
        free, looked_at, failed = _apart(entries, here, context)
        if failed:
            self._failed += failed
            self._event.set()
        if not looked_at:
            self._deliveries.start(free)
            return
        for some in [free, *looked_at] if free else looked_at:
            self._working.into_stages(some)
            self._keep(self._through_stages(some, here, context))

    async def _fetch(self, entries: Sequence[LeasedEntry], here: Round) -> None:
        """Have copies made of messages that are too large for memory and have no file, and begin with each."""
        assert self._loop is not None
        self._has_fetched = True
        for entry in entries:
            try:
                await self._loop.run_in_executor(_reader, _fetch, entry, self._rounds.copies)
            except FileNotFoundError:
                # Delivery says so, and the entry waits.
                pass
            except (DatabaseError, OSError) as error:
                log.error("%s could not be fetched: %s", entry.file_name, error)
                status = Status.WAITING if entry.attempts else Status.DELIVERY_DELAY
                later = WaitUntil(timezone.now() + OUTAGE_PAUSE, status, f"It could not be fetched here: {error}")
                self._resting.append((entry, later))
                self._event.set()
                continue
            self._begin([entry], here)

    async def _through_stages(self, entries: Sequence[LeasedEntry], here: Round, context: StageContext) -> None:
        """Take a batch through each stage that wants some of it, then hand on what is left to delivery."""
        left = list(entries)
        try:
            for stage in here.stages:
                wanted, left, failed = _asked([stage], left, context)
                self._failed += failed
                if wanted:
                    gone = await self._through(stage, wanted, context)
                    left = [entry for entry in left if entry.id not in gone]
            shown = [entry for entry in left if entry.held_back is None]
            if seen := [entry for entry in shown if entry.id in self._seen or entry.status not in ON_THEIR_WAY]:
                await self._mark(seen, None)
        finally:
            self._working.out_of_stages(entries)
            self._seen.difference_update(entry.id for entry in entries)
        self._deliveries.start(left)
        self._event.set()

    async def _through(self, stage: Stage, wanted: Sequence[LeasedEntry], context: StageContext) -> set[int]:
        """Run one stage; the ids of entries that go no further now."""
        assert self._loop is not None
        slow = self._loop.call_later(SLOW_SECONDS, self._show, wanted, stage.status)
        try:
            verdicts = await self._verdicts(stage, wanted, context)
        finally:
            slow.cancel()
        gone = set(verdicts)
        for entry in wanted:
            verdict = verdicts.get(entry.id)
            if isinstance(verdict, Failure):
                self._failed.append(verdict)
            elif isinstance(verdict, WaitUntil):
                self._resting.append((entry, verdict))
            elif isinstance(verdict, HoldBack):
                entry.held_back = verdict.wait
                entry.recipients = [one for one in entry.recipients if one.id not in verdict.recipients]
                gone.discard(entry.id)
            elif verdict is not None:
                self._drop(entry.id)
        return gone

    async def _verdicts(
        self, stage: Stage, wanted: Sequence[LeasedEntry], context: StageContext
    ) -> Mapping[int, Verdict | Failure]:
        """What the stage says of each. A batch that fails is tried message by message: the poison rule.

        While the database or Redis is away that is nobody's failure: they wait a moment.
        """
        name = type(stage).__name__
        try:
            async with asyncio.timeout(stage.time_limit_seconds):
                return await stage.run(wanted, context)
        except OUTAGES as error:
            log.error("stage %s has to wait: %s", name, error)
            later = WaitUntil(timezone.now() + OUTAGE_PAUSE, stage.status, "The database or Redis did not answer")
            return {entry.id: later for entry in wanted}
        except Exception:  # the edge of a stage
            log.exception("stage %s failed on %d messages", name, len(wanted))
            if len(wanted) == 1:
                return {wanted[0].id: Failure(wanted[0], traceback.format_exc())}
        one_by_one = await asyncio.gather(*(self._verdicts(stage, [entry], context) for entry in wanted))
        return {entry_id: verdict for each in one_by_one for entry_id, verdict in each.items()}

    def _show(self, entries: Sequence[LeasedEntry], status: Status) -> None:
        """Show in which stage entries are, once they have been there for longer than anybody could see."""
        self._seen.update(entry.id for entry in entries)
        self._keep(self._mark(entries, status))

    def _drop(self, entry_id: int) -> None:
        """The entry is in these hands no more, nor is a copy of it."""
        entry = self._working.drop(entry_id)
        if entry is not None and entry.is_copied:
            try:
                store.unlink(entry.path)
            except OSError as error:
                log.warning("a copy of %s goes when this pass ends: %s", entry.file_name, error)

    def _keep(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _mark(self, entries: Sequence[LeasedEntry], status: Status | None) -> None:
        assert self._loop is not None
        try:
            await self._loop.run_in_executor(_database, self._rounds.mark, [entry.id for entry in entries], status)
        except DatabaseError as error:
            # It is only for those who watch.
            log.warning("the state of entries could not be shown: %s", error)

    def _leave_for_later(self, write: Callable[[], None]) -> None:
        self._later.append(write)
        self._event.set()

    def _delivered(self, report: DeliveryReport) -> None:
        self._finished.append(report)
        self._event.set()

    def _broken(self, entry: LeasedEntry, text: str) -> None:
        self._failed.append(Failure(entry, text))
        self._event.set()

    def _lapsed(self, entry: LeasedEntry) -> None:
        self._left.append(entry)
        self._event.set()

    def _came_back(self, domains: Sequence[str], error_groups: Sequence[str]) -> None:
        """A host answers that had not: what waits for it is due, a part at a time."""
        self._keep(self._wake(domains, error_groups))

    async def _wake(self, domains: Sequence[str], error_groups: Sequence[str]) -> None:
        while True:
            if not await self._wake_some(domains, error_groups, WAKE_AT_ONCE):
                return
            await asyncio.sleep(WAKE_SECONDS)

    def _pull(self, domains: Sequence[str], reasons: Sequence[str], count: int) -> None:
        """There is room for more mail that was put off for the pace of its site: some of it is due."""
        self._keep(self._wake_some(domains, [error_group(reason) for reason in reasons], count))

    async def _wake_some(self, domains: Sequence[str], error_groups: Sequence[str], count: int) -> bool:
        """Whether there was any."""
        assert self._loop is not None
        try:
            woken = await self._loop.run_in_executor(_database, self._rounds.wake, domains, error_groups, count)
        except DatabaseError as error:
            log.warning("what waits for a host is tried at its next attempt: %s", error)
            return False
        if woken:
            self._working.look()
            self._event.set()
        return bool(woken)

    async def _give_back(self) -> None:
        """Let others have what was not begun in time; some of it they may have already."""
        left, self._left = self._left, []
        log.warning("%d messages are left to others: their leases lapsed before they were begun", len(left))
        for entry in left:
            self._drop(entry.id)
        assert self._loop is not None
        await self._loop.run_in_executor(_database, self._rounds.give_back, [entry.id for entry in left])
        self._working.look()

    async def _drain(self) -> None:
        """Finish what is on the wire, record it, and give the rest back."""
        await self._deliveries.close(DRAIN_SECONDS)
        for task in list(self._tasks):
            task.cancel()
        while self._finished or self._failed or self._resting:
            await self._round(Want())
        for stage in self._stages:
            await stage.close()
        if self._later:
            await self._round(Want())
        if self._working:
            assert self._loop is not None
            await self._loop.run_in_executor(_database, self._rounds.give_back, [entry.id for entry in self._working])

    async def _renew(self) -> None:
        """Keep the leases of everything in work."""
        assert self._loop is not None
        while True:
            await asyncio.sleep(leases.RENEW_EVERY_SECONDS)
            try:
                self._deliveries.park_stalled()
                if not self._working.has_wide_room(self._deliveries.parked):
                    self._deliveries.give_up_silent()
            except Exception:  # the leases are to be kept whatever becomes of this
                log.exception("hosts that hang could not be set aside")
            if self._working:
                try:
                    await self._loop.run_in_executor(_database, self._rounds.renew, list(self._working))
                except DatabaseError as error:
                    log.error("leases could not be renewed: %s", error)
                except Exception:  # the edge of the task: it must not end before the pass
                    log.exception("leases could not be renewed")

    async def _listen(self, listening: doorbell.Listening) -> None:
        """Look whenever the bell rings, as long as there is room for more."""
        assert self._loop is not None
        while True:
            if self._leaving or not self._has_room:
                if self._local.close():
                    self._heard()
                await asyncio.sleep(0.05)
                continue
            self._local.open()
            if await self._loop.run_in_executor(_ear, _rings, listening):
                self._look()

    @property
    def _has_room(self) -> bool:
        return self._working.has_room(self._deliveries.parked)

    def _look(self) -> None:
        self._working.look()
        self._event.set()

    def _heard(self) -> None:
        """The bell of this machine has rung."""
        self._look()
        if not self._has_room:
            # It filled up since it began to listen: another may have room.
            assert self._loop is not None
            self._local.close()
            self._loop.run_in_executor(_ear, doorbell.ring)

    async def _rang_meanwhile(self, listening: doorbell.Listening) -> bool:
        """Stop listening, unless a ring came in the last moment; whether one did."""
        assert self._loop is not None
        # The ear has one thread: without this, `_listen` queues a registration behind the leave, and for seconds every
        # ring goes to a pass that has ended.
        self._leaving = True
        rang = self._local.close()
        rang = await self._loop.run_in_executor(_ear, _leave, listening) or rang
        # That it looks says that the wait which was under way heard it.
        self._leaving = not (rang or self._working.is_looking)
        return not self._leaving


def _fetch(entry: LeasedEntry, copies: working.Copies) -> None:
    """In the reading thread. Raises FileNotFoundError, OSError and django.db.Error."""
    try:
        contents.copy_to(entry, copies)
    except DatabaseError:
        connection.close()
        raise


def _read_no_more() -> None:
    """In the reading thread, which has a connection of its own."""
    connection.close()


def _apart(
    entries: Sequence[LeasedEntry], here: Round, context: StageContext
) -> tuple[list[LeasedEntry], list[list[LeasedEntry]], list[Failure]]:
    """What no stage wants; and of the rest what is small and what is large: a batch is done when the slowest is.

    The last are those on which a stage fails already when it is asked.
    """
    wanted, sound, failed = _asked(here.stages, entries, context)
    ids = {entry.id for entry in wanted}
    free = [entry for entry in sound if entry.id not in ids]
    small = [entry for entry in wanted if entry.size_bytes <= LARGE_BYTES]
    large = [entry for entry in wanted if entry.size_bytes > LARGE_BYTES]
    return free, [some for some in (small, large) if some], failed


def _asked(
    stages: Sequence[Stage], entries: Sequence[LeasedEntry], context: StageContext
) -> tuple[list[LeasedEntry], list[LeasedEntry], list[Failure]]:
    """Those that one of the stages wants; all about which that could be told; and those on which one failed at it."""
    wanted: list[LeasedEntry] = []
    sound: list[LeasedEntry] = []
    failed: list[Failure] = []
    for entry in entries:
        try:
            if any(stage.wants(entry, context) for stage in stages):
                wanted.append(entry)
            sound.append(entry)
        except Exception:  # the edge of a stage
            failed.append(Failure(entry, traceback.format_exc()))
    return wanted, sound, failed


def _rings(listening: doorbell.Listening) -> bool:
    """Wait for the bell for a moment, in the doorbell thread."""
    try:
        listening.register()
        return listening.wait(1.0)
    except RedisError:
        listening.forget()
        time.sleep(1.0)
        return False


def _leave(listening: doorbell.Listening) -> bool:
    try:
        return listening.leave()
    except RedisError:
        return False
