"""Killing everything, in any order, while mail flows."""

from __future__ import annotations

import random
import signal
import time

import pytest

from spool.flow.leases import LEASE
from tests.crash.chaos import Chaos
from tests.crash.conftest import Install
from tests.crash.extent import LONG, MESSAGES, SEED
from tests.crash.ledger import Clients, Ledger, local_deliveries, settle
from tests.crash.remains import assert_everything_is_counted_once, assert_nothing_is_left, assert_one_outcome_each
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

pytestmark = pytest.mark.both

# What one worker may have handed over but not yet recorded, in messages; each goes to three remote recipients at most.
IN_FLIGHT = 40
# A machine that does other things too must still get there.
MOST_SECONDS = 60 + 0.25 * MESSAGES


@pytest.mark.parametrize(
    "place",
    [
        pytest.param({}, id="files"),
        pytest.param(
            {"MAILSPOOL_STORE": "database", "MAILSPOOL_INLINE_KB": "2"},
            id="database",
            marks=[pytest.mark.postgresql, pytest.mark.long],
        ),
    ],
)
def test_no_acknowledged_message_is_lost_while_every_part_is_killed(
    install: Install, sink: CountingSink, durable_postgres: PostgresServer | None, place: dict[str, str]
) -> None:
    print(f"MAILSPOOL_CRASH_SEED={SEED}")
    chance = random.Random(SEED)
    mailspool = install(workers=2, env=place)
    mailspool.settings(max_deliveries=IN_FLIGHT * 2)
    mailspool.start()
    ledger = Ledger("kill")
    clients = Clients(mailspool, ledger, pause_seconds=0.05)
    chaos = Chaos(mailspool, durable_postgres, chance)
    deadline = time.monotonic() + MOST_SECONDS
    clients.start()
    while (chaos.rounds < 1 or len(ledger.acknowledged) < MESSAGES) and time.monotonic() < deadline:
        time.sleep(chance.uniform(0.3, 1.5))
        chaos.strike()
    clients.stop()
    if not LONG:
        mailspool.let_leases_lapse()
    # Else those of killed workers lapse by themselves, within half a minute.
    mailspool.wait_until_empty(90)
    account = settle(ledger, mailspool, sink)
    print(
        f"{len(ledger.acknowledged)} acknowledged, {len(ledger.refused)} refused, {len(ledger.unanswered)} without an"
        f" answer; killed {dict(chaos.kills)}: {account}"
    )
    assert not account.lost
    assert account.local_duplicates == 0
    assert not account.unexplained(chaos.deaths)
    assert account.remote_duplicates <= 3 * IN_FLIGHT * len(chaos.deaths)
    assert len(ledger.acknowledged) >= MESSAGES, "too little mail flowed for the test to mean anything"
    assert_one_outcome_each(mailspool, ledger)
    assert_nothing_is_left(mailspool, ledger)
    assert_everything_is_counted_once(mailspool)


@pytest.mark.long
def test_a_worker_that_wakes_after_its_leases_lapsed_changes_nothing_that_others_did(
    install: Install, sink: CountingSink
) -> None:
    mailspool = install(workers=2)
    mailspool.settings(max_deliveries=IN_FLIGHT * 2)
    mailspool.start()
    ledger = Ledger("sleep")
    clients = Clients(mailspool, ledger)
    clients.start()
    wait_until(lambda: len(sink.receipts()) > 100, "mail flows", 30)
    sleeper = mailspool.workers[0]
    asleep = time.time()
    sleeper.signal(signal.SIGSTOP)
    time.sleep(0.5)
    clients.stop()
    # Longer than a lease. On SQLite it may sleep inside a transaction, and then the others wait for it too.
    time.sleep(LEASE.total_seconds() + 3)
    sleeper.signal(signal.SIGCONT)
    mailspool.wait_until_empty(90)
    account = settle(ledger, mailspool, sink)
    print(f"{len(ledger.acknowledged)} acknowledged: {account}")
    assert not account.lost
    assert account.local_duplicates == 0
    assert not account.unexplained([asleep])
    assert account.remote_duplicates <= 3 * IN_FLIGHT
    assert_one_outcome_each(mailspool, ledger)
    assert_nothing_is_left(mailspool, ledger)


def test_a_flushed_redis_delays_mail_by_seconds_only(install: Install, sink: CountingSink) -> None:
    mailspool = install()
    mailspool.start()
    ledger = Ledger("flush")
    for _ in range(2):
        with mailspool.redis.client() as client:
            client.flushall()
        clients = Clients(mailspool, ledger, len(ledger.acknowledged) + 5, count=1)
        clients.start()
        with mailspool.redis.client() as client:
            client.flushall()
        clients.finish()
        wait_until(lambda: mailspool.is_empty, "what was sent has gone", 20)
    account = settle(ledger, mailspool, sink)
    assert not account.lost
    assert account.remote_duplicates == account.local_duplicates == 0


@pytest.mark.parametrize("workers", ["idle", "at work", "started meanwhile"])
def test_mail_is_taken_and_delivered_while_redis_is_away(install: Install, sink: CountingSink, workers: str) -> None:
    mailspool = install()
    mailspool.start()
    ledger = Ledger("noredis")
    [worker] = mailspool.workers
    if workers == "at work":
        first = Clients(mailspool, ledger, 5, count=1)
        first.start()
        first.finish()
    else:
        wait_until(mailspool.waits_for_a_job, "the worker has nothing to do", 30)
    mailspool.redis.kill()
    if workers == "started meanwhile":
        worker.kill()
        worker.start()
    clients = Clients(mailspool, ledger, 20, count=1)
    clients.start()
    clients.finish()
    assert len(ledger.acknowledged) >= 20
    lives = 0

    def supervised() -> bool:
        nonlocal lives
        if not worker.alive:
            lives += 1
            worker.start()
        return True

    wait_until(lambda: supervised() and mailspool.is_empty, "all is delivered without Redis", 40, every=0.2)
    assert lives <= 1
    mailspool.redis.start()
    wait_until(lambda: supervised() and mailspool.waits_for_a_job(), "the worker is back at Redis", 30, every=0.2)
    account = settle(ledger, mailspool, sink)
    assert not account.lost
    assert account.remote_duplicates == account.local_duplicates == 0
    assert sum(local_deliveries(mailspool, ledger.prefix).values()) > 0
