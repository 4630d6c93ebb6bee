"""Signs of life: what a program tells Redis every ten seconds, for /readyz, /metrics and the alerts.

Its own key lapses soon after its death. What it counts is added to the counts of its kind on this machine, which stay;
and the kind is among the programs that this machine has, until the last of them ends in order.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, cast

from redis import Redis
from redis.exceptions import RedisError

from base import redis_client
from spool.monitoring import tally
from spool.monitoring.heartbeat_keys import BORN, COUNTS, PREFIXES, PROGRAMS, READS_ROWS, machine

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 10.0
# After one that failed.
AGAIN_SECONDS: Final = 2.0
ALIVE_SECONDS: Final = 30
# Counts of a machine that is not there any more.
_COUNTS_SECONDS: Final = 30 * 86_400
_MOST_DESTINATIONS: Final = 500


class Heart:
    """One program's. `shows` are what it says of itself as long as it lives: numbers, or names."""

    def __init__(self, kind: str, shows: Callable[[], Mapping[str, int | str]] = dict) -> None:
        self._kind, self._shows = kind, shows
        self._born = int(time.time())
        place = machine() if machine() == socket.gethostname() else f"{machine()}:{socket.gethostname()}"
        self._key = f"{PREFIXES[kind]}{place}:{os.getpid()}"
        self._program = f"{machine()}|{kind}"

    def run(self, stop: threading.Event) -> None:
        """Beat until `stop`; for a thread of its own. A Redis that is away is no reason to end."""
        while not stop.wait(self.beat()):
            pass
        self.end()

    def beat(self) -> float:
        """One sign of life; returns after how many seconds the next is due."""
        counted = tally.take()
        try:
            with redis_client.redis().pipeline() as pipeline:
                pipeline.delete(self._key)
                pipeline.hset(
                    self._key,
                    mapping={
                        "alive": "1",
                        READS_ROWS: "yes",
                        BORN: str(self._born),
                        **{name: str(value) for name, value in self._shows().items()},
                    },
                )
                pipeline.expire(self._key, ALIVE_SECONDS)
                pipeline.hset(PROGRAMS, self._program, str(int(time.time())))
                for field, number in counted.items():
                    pipeline.hincrby(f"{COUNTS}{machine()}", field, number)
                pipeline.expire(f"{COUNTS}{machine()}", _COUNTS_SECONDS)
                pipeline.execute()
            return BEAT_SECONDS
        except RedisError as error:
            tally.add_back(counted)
            log.debug("no heartbeat: %s", error)
            return AGAIN_SECONDS

    def end(self) -> None:
        """The last one: this program ends because it was asked to."""
        self.beat()
        try:
            client = redis_client.redis()
            client.delete(self._key)
            if not any(client.scan_iter(f"{PREFIXES[self._kind]}{machine()}:*", count=1000)):
                client.hdel(PROGRAMS, self._program)
        except RedisError as error:
            log.debug("heartbeat not removed: %s", error)


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
