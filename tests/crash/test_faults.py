"""Death and errors at every system call that makes mail durable."""

from __future__ import annotations

import random
import smtplib
import time
from collections.abc import Callable, Sequence

import pytest

from tests.crash.faults import Fault, can_inject, fail_at, kill_at
from tests.crash.ledger import SIZES, Clients, Ledger, send_one, settle, some_recipients
from tests.support.daemon import Daemon
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not can_inject(), reason="needs strace, and the right to trace")

Install = Callable[..., MailspoolUnderTest]


def _commits(postgres: PostgresServer | None, numbers: Sequence[int]) -> list[Fault]:
    """Death at the commit: SQLite syncs its log; PostgreSQL is told by a message, and so are SMTP's clients."""
    if postgres is None:
        return [kill_at("fdatasync", number) for number in numbers]
    return [kill_at("sendto", number * 7) for number in numbers]


def _process_with(mailspool: MailspoolUnderTest, daemon: Daemon, fault: Fault) -> Daemon:
    """The same process, under strace. Its name and log are its own."""
    arguments = daemon.command[daemon.command.index("manage.py") + 1 :]
    return mailspool.process(f"{daemon.name}-faulty", *arguments, wrap=fault.wrapper)


def test_a_listener_killed_at_any_step_of_intake_loses_nothing_it_acknowledged(
    install: Install, sink: CountingSink, durable_postgres: PostgresServer | None
) -> None:
    mailspool = install()
    mailspool.start()
    ledger = Ledger("intake")
    healthy = mailspool.listeners[0]
    healthy.stop()
    faults = [
        *(kill_at("fsync", number) for number in (1, 2, 3, 6)),
        *(kill_at("rename", number) for number in (1, 2, 4)),
        *_commits(durable_postgres, (1, 2, 5)),
    ]
    deaths = 0
    for fault in faults:
        faulty = _process_with(mailspool, healthy, fault)
        mailspool.listeners[0] = faulty
        faulty.start()
        clients = Clients(mailspool, ledger, len(ledger.acknowledged) + 30, count=3)
        clients.start()
        deadline = time.monotonic() + 15
        while faulty.alive and clients.busy and time.monotonic() < deadline:
            time.sleep(0.02)
        clients.stop()
        deaths += not faulty.alive
        faulty.kill()
    mailspool.listeners[0] = healthy
    healthy.start()
    mailspool.wait_for_listener()
    Clients(mailspool, ledger, len(ledger.acknowledged) + 20)._run(random.Random(1))
    mailspool.wait_until_empty(60)
    account = settle(ledger, mailspool, sink)
    print(f"{deaths} deaths at {len(faults)} faults, {len(ledger.acknowledged)} acknowledged: {account}")
    assert deaths >= len(faults) // 2, "the faults did not hit"
    assert not account.lost
    assert account.remote_duplicates == account.local_duplicates == 0


def test_a_worker_killed_at_any_step_of_delivery_loses_nothing(
    install: Install, sink: CountingSink, durable_postgres: PostgresServer | None
) -> None:
    mailspool = install()
    in_flight = 20
    mailspool.settings(max_deliveries=in_flight)
    mailspool.start()
    ledger = Ledger("work")
    healthy = mailspool.workers[0]
    healthy.stop()
    faults = [
        *(kill_at("fsync", number) for number in (1, 3, 10)),
        *(kill_at("rename", number) for number in (1, 5)),
        *(kill_at("unlink", number) for number in (1, 5)),
        *_commits(durable_postgres, (1, 3, 8)),
    ]
    deaths = 0
    for fault in faults:
        clients = Clients(mailspool, ledger, len(ledger.acknowledged) + 30)
        clients.start()
        faulty = _process_with(mailspool, healthy, fault)
        mailspool.workers[0] = faulty
        faulty.start()
        clients.finish()
        deadline = time.monotonic() + 8
        while faulty.alive and time.monotonic() < deadline and not mailspool.is_empty:
            time.sleep(0.05)
        deaths += not faulty.alive
        faulty.kill()
    mailspool.workers[0] = healthy
    healthy.start()
    mailspool.wait_until_empty(90)
    account = settle(ledger, mailspool, sink)
    print(f"{deaths} deaths at {len(faults)} faults, {len(ledger.acknowledged)} acknowledged: {account}")
    assert deaths >= len(faults) // 2, "the faults did not hit"
    assert not account.lost
    assert account.local_duplicates == 0
    assert account.remote_duplicates <= 3 * in_flight * deaths
    wait_until(lambda: not _held_by(mailspool, ledger), "no file of a delivered message is left", 5)


@pytest.mark.parametrize(
    ("fault", "reply"),
    [
        (fail_at("fsync", "ENOSPC", "3+5"), "452 4.3.1"),
        (fail_at("fsync", "EDQUOT", "3+5"), "452 4.3.1"),
        (fail_at("fsync", "EIO", "3+5"), "451 4.3.0"),
        (fail_at("rename", "EIO", "2+3"), "451 4.3.0"),
    ],
    ids=str,
)
def test_a_disk_error_at_intake_is_answered_for_now_and_leaves_nothing_behind(
    install: Install, sink: CountingSink, fault: Fault, reply: str
) -> None:
    mailspool = install()
    mailspool.start()
    healthy = mailspool.listeners[0]
    healthy.stop()
    mailspool.listeners[0] = _process_with(mailspool, healthy, fault)
    mailspool.listeners[0].start()
    mailspool.wait_for_listener()
    ledger = Ledger("error")
    _send_all(mailspool, ledger, 40)
    assert mailspool.listeners[0].alive, mailspool.log_tails()
    assert ledger.refused, "the faults did not hit"
    assert {answer[: len(reply)] for answer in ledger.refused.values()} == {reply}
    assert len(ledger.acknowledged) + len(ledger.refused) == 40
    mailspool.wait_until_empty(30)
    account = settle(ledger, mailspool, sink)
    assert not account.lost
    assert not account.refused_but_delivered
    assert account.remote_duplicates == account.local_duplicates == 0
    assert mailspool.message_files() == []


def _send_all(mailspool: MailspoolUnderTest, ledger: Ledger, count: int) -> None:
    """`count` messages over one connection, whatever the answers."""
    chance = random.Random(7)
    client = mailspool.smtp()
    for _ in range(count):
        try:
            if not send_one(client, ledger, some_recipients(chance), chance.choice(SIZES)):
                client.rset()
        except smtplib.SMTPServerDisconnected:
            client = mailspool.smtp()
    client.close()


def _held_by(mailspool: MailspoolUnderTest, ledger: Ledger) -> list[str]:
    """Acknowledged messages whose files are still in the spool although their rows have gone."""
    texts = [path.read_bytes()[:4096] for path in mailspool.message_files()]
    return [test_id for test_id in ledger.acknowledged if any(f"X-Test-Id: {test_id}\r\n".encode() in t for t in texts)]
