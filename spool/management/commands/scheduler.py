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
from spool.monitoring.heartbeat import Heart, fold_destinations
from spool.traffic import rollup
from spool.worker import STOPPING

log = logging.getLogger(__name__)

SWEEP_SECONDS = 5.0
PURGE_SECONDS = 3600.0


class Command(TerminalCommand):
    """RQ's scheduler as a process of its own, with the sweep as safety net. A second one waits for the first to end."""

    help = "Wake the workers when mail is due, watch the drop folder, remove old traces."

    def handle(self, *args: Any, **options: Any) -> None:
        preconditions.wait()
        # Waited for, in every thread's stead, instead of handled: a handler that sets the event could come while this
        # very thread holds the event's lock.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        stop = threading.Event()
        threads = [
            threading.Thread(target=Heart("scheduler").run, args=(stop,), daemon=True),
            threading.Thread(target=drop_folder.watch, args=(stop,), daemon=True),
            threading.Thread(target=rollup.run, args=(stop,), daemon=True),
            threading.Thread(target=loop.run, args=(stop,), daemon=True),
        ]
        for thread in threads:
            thread.start()
        self._run()
        stop.set()
        for thread in threads:
            thread.join(10)

    def _run(self) -> None:
        scheduler = RQScheduler([doorbell.mail_queue()], connection=redis_client.redis(), interval=1)
        next_sweep = next_purge = time.monotonic()
        is_known = False
        while signal.sigtimedwait(STOPPING, 1.0) is None:
            try:
                scheduler.acquire_locks()
                if not is_known:
                    # For the page Jobs.
                    scheduler.register_birth()
                    is_known = True
                scheduler.enqueue_scheduled_jobs()
                scheduler.heartbeat()
                if time.monotonic() >= next_purge:
                    next_purge = time.monotonic() + PURGE_SECONDS
                    doorbell.maintenance_queue().enqueue("spool.tasks.forget", result_ttl=0, failure_ttl=3600)
                    fold_destinations(redis_client.redis())
            except RedisError as error:
                log.warning("Redis is away: %s", error)
                # It may have been emptied.
                is_known = False
            except Exception:  # the edge of the process: what RQ stumbles over must not end the sweep
                log.exception("jobs that are due could not be enqueued", extra={"seldom": True})
            if time.monotonic() >= next_sweep:
                next_sweep = time.monotonic() + SWEEP_SECONDS
                try:
                    close_old_connections()
                    tasks.sweep()
                except DatabaseError as error:
                    log.error("the sweep could not look at the spool: %s", error)
                except Exception:  # the edge of the process
                    log.exception("the sweep failed", extra={"seldom": True})
        try:
            scheduler.release_locks()
            scheduler.register_death()
        except RedisError as error:
            log.debug("the scheduler's lock lapses by itself: %s", error)
