"""`manage.py scheduler`: wakes passes when mail is due, watches the drop folder, adds up traffic, and keeps house."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import Any

from django.db import Error as DatabaseError
from django.db import close_old_connections
from redis.exceptions import RedisError
from rq.scheduler import RQScheduler

from accounts.management.terminal import TerminalCommand
from base import redis_client
from spool import tasks
from spool.alerts import loop
from spool.dropfolder import drop_folder
from spool.files import preconditions
from spool.flow import doorbell
from spool.maintenance import vacuum
from spool.monitoring import programs
from spool.monitoring.heartbeat import Heart, fold_destinations
from spool.monitoring.names import ACTS, SCHEDULER
from spool.traffic import rollup
from spool.worker import STOPPING

log = logging.getLogger(__name__)

SWEEP_SECONDS = 5.0
PURGE_SECONDS = 3600.0
# How often the one that acts says that it does; another follows one that died after `programs.DUTY`.
TURN_SECONDS = 3.0
_DUTY = "scheduler"


class Command(TerminalCommand):
    """RQ's scheduler as a process of its own, with the sweep as safety net, on one machine at a time.

    Those of other machines see to what is only theirs: the drop folder, their files, and alerts of their disks. When
    the one that acts ends, drains or dies, another acts within seconds.
    """

    help = "Wake the workers when mail is due, watch the drop folder, remove old traces."
    # For whom starts it by hand; --skip-checks is for what has checked before.
    requires_system_checks = "__all__"

    def handle(self, *args: Any, **options: Any) -> None:
        preconditions.wait()
        # Waited for, in every thread's stead, instead of handled: a handler that sets the event could come while this
        # very thread holds the event's lock.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        stop = threading.Event()
        turn = _Turn()
        heart = Heart(SCHEDULER, lambda: {ACTS: int(turn.is_ours)}, lambda: int(turn.is_ours))
        turn.holder = heart.key
        end_heart = heart.start()
        threads = [
            threading.Thread(target=drop_folder.watch, args=(stop,), daemon=True),
            threading.Thread(target=rollup.run, args=(stop,), daemon=True),
            threading.Thread(target=loop.run, args=(stop,), daemon=True),
            threading.Thread(target=vacuum.run, args=(stop,), daemon=True),
        ]
        for thread in threads:
            thread.start()
        self._run(turn)
        stop.set()
        for thread in threads:
            thread.join(10)
        end_heart()

    def _run(self, turn: _Turn) -> None:
        for_all = _ForAll()
        next_sweep = next_fold = time.monotonic()
        while signal.sigtimedwait(STOPPING, 1.0) is None:
            if turn.take():
                for_all.act()
            else:
                for_all.leave()
            if time.monotonic() >= next_sweep:
                next_sweep = time.monotonic() + SWEEP_SECONDS
                _sweep(is_for_all=turn.is_ours)
            if time.monotonic() >= next_fold:
                next_fold = time.monotonic() + PURGE_SECONDS
                _fold()
        for_all.leave()
        turn.leave()


def _sweep(*, is_for_all: bool) -> None:
    for sweep in (tasks.sweep_here, tasks.sweep_for_all) if is_for_all else (tasks.sweep_here,):
        try:
            close_old_connections()
            sweep()
        except DatabaseError as error:
            log.error("the sweep could not look at the spool: %s", error)
        except Exception:  # the edge of the process
            log.exception("the sweep failed", extra={"seldom": True})


def _fold() -> None:
    try:
        fold_destinations(redis_client.redis())
    except RedisError as error:
        log.debug("this machine's counts could not be folded: %s", error)


class _ForAll:
    """RQ's scheduler, and the hourly housekeeping, while it is our turn."""

    def __init__(self) -> None:
        self._scheduler = RQScheduler([doorbell.mail_queue()], connection=redis_client.redis(), interval=1)
        self._next_purge = time.monotonic()
        self._acts = self._is_known = False

    def act(self) -> None:
        """Enqueue what is due."""
        scheduler = self._scheduler
        try:
            if not self._acts:
                # Of one that died: it would be kept for a minute.
                redis_client.redis().delete(scheduler.get_locking_key(doorbell.mail_queue().name))
                self._acts = True
            scheduler.acquire_locks()
            if not self._is_known:
                # For the page Jobs.
                scheduler.register_birth()
                self._is_known = True
            scheduler.enqueue_scheduled_jobs()
            scheduler.heartbeat()
            if time.monotonic() >= self._next_purge:
                self._next_purge = time.monotonic() + PURGE_SECONDS
                doorbell.maintenance_queue().enqueue("spool.tasks.forget", result_ttl=0, failure_ttl=3600)
        except RedisError as error:
            log.warning("Redis is away: %s", error)
            # It may have been emptied.
            self._is_known = False
        except Exception:  # the edge of the process: what RQ stumbles over must not end the sweep
            log.exception("jobs that are due could not be enqueued", extra={"seldom": True})

    def leave(self) -> None:
        """Let another one do it."""
        if not self._acts:
            return
        self._acts = self._is_known = False
        try:
            self._scheduler.release_locks()
            self._scheduler.register_death()
        except RedisError as error:
            log.debug("the scheduler's lock lapses by itself: %s", error)


class _Turn:
    """Whether it is this scheduler that acts, of all those that run. While the database is away it stays as it was,
    but for no longer than the duty lasts: another one may have it already."""

    def __init__(self) -> None:
        self.holder = ""
        self.is_ours = False
        self._asked = self._until = float("-inf")

    def take(self) -> bool:
        if programs.is_draining():
            if self.is_ours:
                self.leave()
            return False
        now = time.monotonic()
        if now - self._asked >= TURN_SECONDS:
            self._asked = now
            try:
                close_old_connections()
                self.is_ours = programs.take_duty(_DUTY, self.holder)
                self._until = now + programs.DUTY.total_seconds()
            except DatabaseError as error:
                log.warning("whose turn it is to act could not be looked up: %s", error)
                self.is_ours = self.is_ours and now < self._until
        return self.is_ours

    def leave(self) -> None:
        self.is_ours = False
        self._asked = float("-inf")
        try:
            programs.leave_duty(_DUTY, self.holder)
        except DatabaseError as error:
            log.debug("another scheduler acts as soon as this one is missed: %s", error)
