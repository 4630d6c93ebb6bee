"""Killing everything, in any order, while mail flows.

MAILSPOOL_CRASH_MESSAGES and MAILSPOOL_CRASH_SEED say how many messages (2,000) and which order of kills (by chance).
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable

from spool.leases import LEASE
from tests.crash.ledger import Clients, Ledger, local_deliveries, settle
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

MESSAGES = int(os.environ.get("MAILSPOOL_CRASH_MESSAGES", "2000"))
SEED = int(os.environ.get("MAILSPOOL_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
# What one worker may have handed over but not yet recorded, in messages.
IN_FLIGHT = 40
MOST_SECONDS = 90.0

Install = Callable[..., MailspoolUnderTest]


class Chaos:
    """Kills a part of the installation, and starts it again after a moment."""

    def __init__(self, mailspool: MailspoolUnderTest, postgres: PostgresServer | None, chance: random.Random) -> None:
        self._mailspool = mailspool
        self._postgres = postgres
        self._chance = chance
        self.kills: Counter[str] = Counter()
        self._parts: dict[str, Callable[[], None]] = {
            "listener": self._listener,
            "worker": self._worker,
            "all workers": self._all_workers,
            "redis": self._redis,
            "flushall": self._flush,
        }
        if postgres is not None:
            self._parts["postgres"] = self._database

    def strike(self) -> None:
        """Kill each part in turn, in an order by chance that changes every time round."""
        waiting = [part for part in self._parts if self.kills[part] == min(self.kills[p] for p in self._parts)]
        part = self._chance.choice(waiting)
        self.kills[part] += 1
        self._parts[part]()

    def _pause(self) -> None:
        time.sleep(self._chance.uniform(0.0, 0.8))

    def _listener(self) -> None:
        daemon = self._chance.choice(self._mailspool.listeners)
        daemon.kill()
        self._pause()
        daemon.start()

    def _worker(self) -> None:
        daemon = self._chance.choice(self._mailspool.workers)
        daemon.kill()
        self._pause()
        daemon.start()

    def _all_workers(self) -> None:
        for daemon in self._mailspool.workers:
            daemon.kill()
        self._pause()
        for daemon in self._mailspool.workers:
            daemon.start()

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


def test_no_acknowledged_message_is_lost_while_every_part_is_killed(
    install: Install, sink: CountingSink, durable_postgres: PostgresServer | None
) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    mailspool = install(workers=2)
    mailspool.settings(max_deliveries=IN_FLIGHT * 2)
    mailspool.start()
    ledger = Ledger("kill")
    clients = Clients(mailspool, ledger, MESSAGES)
    chaos = Chaos(mailspool, durable_postgres, chance)
    deadline = time.monotonic() + MOST_SECONDS
    clients.start()
    while clients.busy and time.monotonic() < deadline:
        time.sleep(chance.uniform(0.5, 2.0))
        chaos.strike()
    clients.stop()
    # Leases of killed workers lapse within half a minute.
    mailspool.wait_until_empty(90)
    account = settle(ledger, mailspool, sink)
    kills = dict(chaos.kills)
    print(
        f"{len(ledger.acknowledged)} acknowledged, {len(ledger.refused)} refused, {len(ledger.unanswered)} without an"
        f" answer; killed {kills}: {account}"
    )
    assert not account.lost
    assert account.local_duplicates == 0
    deaths = kills.get("worker", 0) + 2 * kills.get("all workers", 0) + 2 * kills.get("postgres", 0)
    # A message may go to three remote recipients.
    assert account.remote_duplicates <= 3 * IN_FLIGHT * deaths
    assert len(ledger.acknowledged) >= min(MESSAGES, 200), "too little mail flowed for the test to mean anything"
    _assert_nothing_is_left(mailspool, ledger)


def _assert_nothing_is_left(mailspool: MailspoolUnderTest, ledger: Ledger) -> None:
    """No rows; files only of messages whose clients got no 250, and the doctor clears those away."""
    assert mailspool.count("spool_recipient") == 0
    for path in mailspool.message_files():
        content = path.read_bytes()
        assert not any(f"X-Test-Id: {test_id}\r\n".encode() in content for test_id in ledger.acknowledged), path
        # The doctor leaves young files alone: a listener may be about to insert their rows.
        os.utime(path, (time.time() - 3600, time.time() - 3600))
    mailspool.manage("spool", "doctor", "--mend", check=False)
    assert mailspool.message_files() == []
    found = mailspool.manage("spool", "doctor", check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_worker_that_wakes_after_its_leases_lapsed_changes_nothing_that_others_did(
    install: Install, sink: CountingSink
) -> None:
    mailspool = install(workers=2)
    mailspool.settings(max_deliveries=IN_FLIGHT * 2)
    mailspool.start()
    ledger = Ledger("sleep")
    clients = Clients(mailspool, ledger, 400)
    clients.start()
    wait_until(lambda: len(ledger.acknowledged) > 100, "mail flows", 30)
    sleeper = mailspool.workers[0]
    sleeper.signal(signal.SIGSTOP)
    clients.stop()
    # Longer than a lease. On SQLite it may sleep inside a transaction, and then the others wait for it too.
    time.sleep(LEASE.total_seconds() + 3)
    sleeper.signal(signal.SIGCONT)
    mailspool.wait_until_empty(90)
    account = settle(ledger, mailspool, sink)
    print(f"{len(ledger.acknowledged)} acknowledged: {account}")
    assert not account.lost
    assert account.local_duplicates == 0
    assert account.remote_duplicates <= 3 * IN_FLIGHT
    assert mailspool.count("spool_recipient") == 0
    outcomes = mailspool.rows(
        "SELECT file_name, recipient, count(*) FROM spool_trace GROUP BY 1, 2 HAVING count(*) > 1"
    )
    assert outcomes == [], "a recipient has more than one recorded outcome"


def test_a_flushed_redis_delays_mail_by_seconds_only(install: Install, sink: CountingSink) -> None:
    mailspool = install()
    mailspool.start()
    ledger = Ledger("flush")
    for _ in range(5):
        with mailspool.redis.client() as client:
            client.flushall()
        clients = Clients(mailspool, ledger, len(ledger.acknowledged) + 5, count=1)
        clients.start()
        with mailspool.redis.client() as client:
            client.flushall()
        clients.finish()
        wait_until(lambda: mailspool.is_empty, "what was sent has gone", 10)
    account = settle(ledger, mailspool, sink)
    assert not account.lost
    assert account.remote_duplicates == account.local_duplicates == 0


def test_mail_is_taken_and_delivered_while_redis_is_away(install: Install, sink: CountingSink) -> None:
    mailspool = install()
    mailspool.start()
    ledger = Ledger("noredis")
    clients = Clients(mailspool, ledger, 20, count=1)
    mailspool.redis.kill()
    clients.start()
    clients.finish()
    assert len(ledger.acknowledged) >= 20
    mailspool.redis.start()
    mailspool.wait_until_empty(20)
    account = settle(ledger, mailspool, sink)
    assert not account.lost
    assert sum(local_deliveries(mailspool, ledger.prefix).values()) > 0
