"""Signs of life: what a program tells the database every few seconds, and what it has counted, which it tells Redis.

Its row says that it lives, on which machine, and what it has in hand (spool.monitoring.programs); in the same beat it
learns whether its machine is to be drained, and how many workers there are. What it counts is added to the counts of
its machine in Redis, which stay. A beat is in a thread of its own: nothing that mail needs waits for it, and neither a
database nor a Redis that is away ends it.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Final, cast

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection
from redis import Redis
from redis.exceptions import RedisError

from base import redis_client
from spool.files import marks, store
from spool.models.machine import Program
from spool.monitoring import calls, programs, tally
from spool.monitoring.names import (
    CONSOLE,
    COUNTS,
    DELIVERED,
    DRAIN,
    FILES,
    FREE_MB,
    HOME,
    LOAD,
    TAKEN,
    machine,
)

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 5.0
# How often it is looked whether somebody called.
LISTEN_SECONDS: Final = 1.0
# Between two of a program that has something in hand while its machine drains.
DRAINING_SECONDS: Final = 1.0
# After one that failed.
AGAIN_SECONDS: Final = 2.0
# How long the end of a program waits for its last sign of life.
END_SECONDS: Final = 4.0
# So many files are counted while a machine drains.
MOST_FILES: Final = 10_000
_MINUTE_SECONDS: Final = 60.0
# Counts of a machine that is not there any more.
_COUNTS_SECONDS: Final = 30 * 86_400
_MOST_DESTINATIONS: Final = 500
_MEGABYTE: Final = 1024 * 1024


class Heart:
    """One program's. `shows` are what it says of itself as long as it lives: numbers, or names; `busy` how much it has
    in hand that it has to finish before its machine is drained."""

    def __init__(
        self, kind: str, shows: Callable[[], Mapping[str, int | str]] = dict, busy: Callable[[], int] = lambda: 0
    ) -> None:
        self._kind, self._shows, self._busy = kind, shows, busy
        self._born = datetime.now(UTC)
        host = socket.gethostname()[:100]
        self.key = f"{machine()}|{kind}|{host}|{os.getpid()}"
        self._row = Program(
            key=self.key, machine=machine(), kind=kind, host=host, pid=os.getpid(), born=self._born, drains=False
        )
        self._taken, self._delivered = _Rate(), _Rate()

    def run(self, stop: threading.Event) -> None:
        """Beat until `stop`; for a thread of its own."""
        heard = calls.Calls()
        while not self._wait(stop, self.beat(), heard):
            pass
        self.end()
        connection.close()

    def _wait(self, stop: threading.Event, seconds: float, heard: calls.Calls) -> bool:
        """Until the next beat is due or somebody calls; whether this is the end."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if stop.wait(min(left, LISTEN_SECONDS)):
                return True
            if heard.came():
                break
        return stop.is_set()

    def start(self) -> Callable[[], None]:
        """Beat in a thread from now on; what is returned ends that, waiting no longer than END_SECONDS."""
        stop = threading.Event()
        thread = threading.Thread(target=self.run, args=(stop,), name="heartbeat", daemon=True)
        thread.start()

        def end() -> None:
            stop.set()
            thread.join(END_SECONDS)

        return end

    def beat(self) -> float:
        """One sign of life; returns after how many seconds the next is due."""
        counted = tally.take()
        self._taken.add(counted.get(tally.TAKEN, 0))
        self._delivered.add(sum(counted.get(field, 0) for field in tally.DELIVERED))
        before = programs.known().drain
        heard = self._tell_database()
        drain = programs.known().drain
        if not self._tell_redis(counted):
            tally.add_back(counted)
            self._taken.take_back()
            self._delivered.take_back()
            heard = False
        if not heard:
            return AGAIN_SECONDS
        # Whoever waits for the end of a drain hears at once that it was understood, and soon when nothing is in hand.
        return 0.0 if drain != before else DRAINING_SECONDS if drain and self._row.busy else BEAT_SECONDS

    def end(self) -> None:
        """The last one: this program ends because it was asked to."""
        self._tell_redis(tally.take())
        try:
            close_old_connections()
            programs.end(self.key)
        except Exception as error:  # the edge of the program: it ends all the same
            log.debug("the sign of life was not removed: %s", error)

    def _tell_database(self) -> bool:
        try:
            close_old_connections()
            programs.tell(self._row_now())
            now_known = programs.look()
            programs.learn(now_known)
            return True
        except DatabaseError as error:
            log.debug("no sign of life: %s", error)
        except Exception:  # the edge of the thread: it must not end before its process
            log.exception("no sign of life could be given", extra={"seldom": True})
        connection.close()
        return False

    def _row_now(self) -> Program:
        row = self._row
        # Before what is in hand is counted: nothing new comes into it afterwards.
        drain = programs.known().drain
        row.drains = bool(drain)
        row.version, row.busy = str(settings.MAILSPOOL_VERSION)[:40], self._busy()
        row.shows = {
            LOAD: round(os.getloadavg()[0], 2),
            FREE_MB: _free_mb(),
            HOME: _home(),
            TAKEN: self._taken.a_minute(),
            DELIVERED: self._delivered.a_minute(),
            **self._shows(),
        }
        if drain:
            row.shows[DRAIN] = drain
            if self._kind != CONSOLE:
                row.shows[FILES] = count_files()
        return row

    def _tell_redis(self, counted: Mapping[str, int]) -> bool:
        try:
            if counted:
                with redis_client.redis().pipeline() as pipeline:
                    for field, number in counted.items():
                        pipeline.hincrby(f"{COUNTS}{machine()}", field, number)
                    pipeline.expire(f"{COUNTS}{machine()}", _COUNTS_SECONDS)
                    pipeline.execute()
            return True
        except RedisError as error:
            log.debug("what was counted could not be told: %s", error)
            return False


class _Rate:
    """How many there were in the last minute, by what was counted from beat to beat."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def add(self, number: int) -> None:
        now = time.monotonic()
        self._counts.append((now, number))
        while self._counts[0][0] <= now - _MINUTE_SECONDS:
            self._counts.popleft()

    def take_back(self) -> None:
        self._counts.pop()

    def a_minute(self) -> int:
        return sum(number for _, number in self._counts)


def count_files() -> int:
    """How many message files are in this machine's home, MOST_FILES at most."""
    try:
        return sum(1 for _ in islice(_files(), MOST_FILES))
    except OSError as error:
        log.debug("the files of the spool could not be counted: %s", error)
        return 0


def _files() -> Iterator[str]:
    for subspool in store.subspools():
        with os.scandir(store.spool_root() / subspool) as entries:
            yield from (entry.name for entry in entries if entry.name.endswith(store.SUFFIX))


def _free_mb() -> int:
    try:
        return shutil.disk_usage(settings.HOME.root).free // _MEGABYTE
    except OSError:
        return 0


def _home() -> str:
    """Which home this is: the mark in its folder is one file, for all machines that share it."""
    try:
        mark = (settings.HOME.spool / marks.FILE).stat()
    except OSError:
        return ""
    return f"{mark.st_ino}-{mark.st_mtime_ns}"


def fold_destinations(client: Redis) -> None:
    """Keep the counts of the most frequent destinations by name, and add the others up. Raises RedisError."""
    key = f"{COUNTS}{machine()}"
    counts = cast("dict[bytes, bytes]", client.hgetall(key))
    fields = sorted(
        (field for field in counts if field.startswith(b"destinations|")), key=lambda field: -int(counts[field])
    )
    with client.pipeline() as pipeline:
        for field in fields[_MOST_DESTINATIONS:]:
            _, outcome, destination = field.decode().split("|", 2)
            if destination != tally.OTHER:
                pipeline.hincrby(key, f"destinations|{outcome}|{tally.OTHER}", int(counts[field]))
                pipeline.hdel(key, field)
        pipeline.execute()
