"""Kills the parts of an installation in an order by chance, and remembers what was killed when."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.waiting import wait_until


class Chaos:
    """Kills a part, and starts it again after a moment. `deaths` has the moments at which workers died."""

    def __init__(self, mailspool: MailspoolUnderTest, postgres: PostgresServer | None, chance: random.Random) -> None:
        self._mailspool = mailspool
        self._postgres = postgres
        self._chance = chance
        self.kills: Counter[str] = Counter()
        self.deaths: list[float] = []
        self._parts: dict[str, Callable[[], None]] = {
            "listener": self._listener,
            "committer": self._committer,
            "worker": self._worker,
            "all workers": self._all_workers,
            "scheduler": self._scheduler,
            "redis": self._redis,
            "flushall": self._flush,
        }
        if postgres is not None:
            self._parts["postgres"] = self._database

    @property
    def rounds(self) -> int:
        """How often every part has been killed at least."""
        return min(self.kills[part] for part in self._parts)

    def strike(self) -> None:
        """Kill each part in turn, in an order by chance that changes every time round."""
        part = self._chance.choice([part for part in self._parts if self.kills[part] == self.rounds])
        self.kills[part] += 1
        self._parts[part]()
        self._mailspool.revive()

    def _pause(self) -> None:
        time.sleep(self._chance.uniform(0.0, 0.8))

    def _listener(self) -> None:
        daemon = self._chance.choice(self._mailspool.listeners)
        daemon.kill()
        self._pause()
        daemon.start()

    def _committer(self) -> None:
        daemon = self._chance.choice(self._mailspool.listeners)
        children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children")
        wait_until(lambda: children.read_text().split(), "a listener that has just begun has its committer", 40)
        for child in children.read_text().split():
            os.kill(int(child), signal.SIGKILL)
        wait_until(lambda: not daemon.alive, "the listener has ended, as its committer has", 40)
        self._pause()
        daemon.start()

    def _worker(self) -> None:
        daemon = self._chance.choice(self._mailspool.workers)
        self.deaths.append(time.time())
        daemon.kill()
        self._pause()
        daemon.start()

    def _all_workers(self) -> None:
        for daemon in self._mailspool.workers:
            self.deaths.append(time.time())
            daemon.kill()
        self._pause()
        for daemon in self._mailspool.workers:
            daemon.start()

    def _scheduler(self) -> None:
        self._mailspool.scheduler.kill()
        self._pause()
        self._mailspool.scheduler.start()

    def _redis(self) -> None:
        self._mailspool.redis.kill()
        self._pause()
        self._mailspool.redis.start()

    def _flush(self) -> None:
        with self._mailspool.redis.client() as client:
            client.flushall()

    def _database(self) -> None:
        assert self._postgres is not None
        self._postgres.kill()
        self._pause()
        self._postgres.start()
