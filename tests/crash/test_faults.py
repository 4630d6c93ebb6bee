"""Death and errors at every system call that makes mail durable."""

from __future__ import annotations

import random
import smtplib
import time

import pytest

from tests.crash.conftest import DATABASE, Install
from tests.crash.extent import some
from tests.crash.faults import Fault, can_inject, commits, dies, fail_at, kill_at, process_with
from tests.crash.ledger import REMOTE, SIZES, Clients, Ledger, send_one, settle, some_recipients
from tests.crash.remains import assert_nothing_is_left, assert_one_outcome_each
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not can_inject(), reason="needs strace, and the right to trace")


IN_FILES = {"MAILSPOOL_INLINE_KB": "0"}
IN_ROWS = {"MAILSPOOL_INLINE_KB": "64"}
IN_DATABASE = pytest.param(DATABASE, id="database", marks=pytest.mark.postgresql)


@pytest.mark.long
def test_a_listener_killed_at_any_step_of_intake_loses_nothing_it_acknowledged(
    install: Install, sink: CountingSink, durable_postgres: PostgresServer | None
) -> None:
    # Half of these deaths are at what makes a file.
    mailspool = install(env=IN_FILES)
    mailspool.start()
    ledger = Ledger("intake")
    healthy = mailspool.listeners[0]
    healthy.stop()
    faults = some(
        [
            *(kill_at("fsync", number) for number in (1, 2, 5)),
            *(kill_at("rename", number) for number in (1, 3)),
            *commits(durable_postgres, (1, 4)),
        ]
    )
    clients = Clients(mailspool, ledger, pause_seconds=0.02)
    clients.start()
    missed = []
    for fault in faults:
        mailspool.listeners[0] = process_with(mailspool, healthy, fault)
        mailspool.listeners[0].start()
        if not dies(mailspool.listeners[0]):
            missed.append(str(fault))
        mailspool.listeners[0].kill()
    mailspool.listeners[0] = healthy
    healthy.start()
    mailspool.wait_for_listener()
    clients.finish(1)
    mailspool.wait_until_empty(60)
    account = settle(ledger, mailspool, sink)
    print(f"{len(faults)} deaths, {len(ledger.acknowledged)} acknowledged: {account}")
    assert not missed, "these faults did not hit"
    assert not account.lost
    assert account.remote_duplicates == account.local_duplicates == 0
    assert_one_outcome_each(mailspool, ledger)
    assert_nothing_is_left(mailspool, ledger)


@pytest.mark.parametrize("place", [pytest.param(IN_FILES, id="files", marks=pytest.mark.long), IN_DATABASE])
def test_a_worker_killed_at_any_step_of_delivery_loses_nothing(
    install: Install, sink: CountingSink, durable_postgres: PostgresServer | None, place: dict[str, str]
) -> None:
    mailspool = install(env=place)
    in_flight = 20
    mailspool.settings(max_deliveries=in_flight)
    mailspool.start()
    ledger = Ledger("work")
    healthy = mailspool.workers[0]
    healthy.stop()
    of_files = [
        *(kill_at("fsync", number) for number in (1, 4)),
        *(kill_at("rename", number) for number in (1, 3)),
        *(kill_at("unlink", number) for number in (1, 5)),
    ]
    # Content in the database goes with the commit of the last outcome.
    faults = some([*(of_files if place == IN_FILES else []), *commits(durable_postgres, (1, 4, 6))])
    clients = Clients(mailspool, ledger, pause_seconds=0.3)
    clients.start()
    deaths, missed = [], []
    for fault in faults:
        mailspool.workers[0] = process_with(mailspool, healthy, fault)
        mailspool.workers[0].start()
        if not dies(mailspool.workers[0]):
            missed.append(str(fault))
        deaths.append(time.time())
        mailspool.workers[0].kill()
    clients.stop()
    mailspool.lapse_leases()
    mailspool.workers[0] = healthy
    healthy.start()
    mailspool.wait_until_empty(60)
    account = settle(ledger, mailspool, sink)
    print(f"{len(faults)} deaths, {len(ledger.acknowledged)} acknowledged: {account}")
    assert not missed, "these faults did not hit"
    assert not account.lost
    assert account.local_duplicates == 0
    assert not account.unexplained(deaths)
    assert account.remote_duplicates <= 3 * in_flight * len(deaths)
    assert_one_outcome_each(mailspool, ledger)
    assert_nothing_is_left(mailspool, ledger)


@pytest.mark.parametrize("place", [pytest.param(IN_ROWS, id="rows"), IN_DATABASE])
def test_a_listener_killed_around_the_commit_of_messages_without_a_file_loses_none(
    install: Install, sink: CountingSink, durable_postgres: PostgresServer | None, place: dict[str, str]
) -> None:
    mailspool = install(env=place)
    mailspool.start()
    ledger = Ledger("rows")
    healthy = mailspool.listeners[0]
    healthy.stop()
    faults = some(commits(durable_postgres, (1, 2, 4)))
    clients = Clients(mailspool, ledger, pause_seconds=0.02)
    clients.start()
    missed = []
    for fault in faults:
        mailspool.listeners[0] = process_with(mailspool, healthy, fault)
        mailspool.listeners[0].start()
        if not dies(mailspool.listeners[0]):
            missed.append(str(fault))
        mailspool.listeners[0].kill()
    mailspool.listeners[0] = healthy
    healthy.start()
    mailspool.wait_for_listener()
    clients.finish(1)
    mailspool.wait_until_empty(60)
    account = settle(ledger, mailspool, sink)
    print(f"{len(faults)} deaths, {len(ledger.acknowledged)} acknowledged: {account}")
    assert not missed, "these faults did not hit"
    assert not account.lost
    assert account.remote_duplicates == account.local_duplicates == 0
    assert_one_outcome_each(mailspool, ledger)
    assert_nothing_is_left(mailspool, ledger)


def test_a_worker_killed_while_messages_get_their_files_loses_none(
    install: Install, durable_postgres: PostgresServer | None
) -> None:
    """They come to rest, for nobody answers where they are to go."""
    mailspool = install(env=IN_ROWS)
    mailspool.settings(smtp_out_port=free_port())
    mailspool.start()
    ledger = Ledger("rest")
    healthy = mailspool.workers[0]
    healthy.stop()
    faults = some(
        [
            *(kill_at("fsync", number) for number in (1, 2, 3)),
            *(kill_at("rename", number) for number in (1, 2)),
            *commits(durable_postgres, (2, 3)),
        ]
    )
    missed = []
    for fault in faults:
        with mailspool.smtp() as client:
            for _ in range(3):
                assert send_one(client, ledger, REMOTE[:1], 600)
        mailspool.workers[0] = process_with(mailspool, healthy, fault)
        mailspool.workers[0].start()
        if not dies(mailspool.workers[0]):
            missed.append(str(fault))
        mailspool.workers[0].kill()
        mailspool.lapse_leases()
    mailspool.workers[0] = healthy
    healthy.start()
    wait_until(
        lambda: (
            mailspool.rows("SELECT COUNT(*) FROM spool_entry WHERE status = 'waiting'")[0][0]
            == len(ledger.acknowledged)
        ),
        "all were tried, or put off for those that were",
        60,
    )
    assert not missed, "these faults did not hit"
    wait_until(lambda: mailspool.count("spool_content") == 0, "all have their files", 60)
    names = {name for (name,) in mailspool.rows("SELECT file_name FROM spool_entry")}
    assert len(names) == len(ledger.acknowledged) == 3 * len(faults)
    sizes = dict(mailspool.rows("SELECT file_name, size_bytes FROM spool_entry"))
    there = {path.name: path.stat().st_size for path in mailspool.message_files() if path.name in names}
    assert there == sizes


@pytest.mark.parametrize(
    ("fault", "reply"),
    [
        (fail_at("fsync", "ENOSPC", "3+5"), "452 4.3.1"),
        pytest.param(fail_at("fsync", "EDQUOT", "3+5"), "452 4.3.1", marks=pytest.mark.long),
        pytest.param(fail_at("fsync", "EIO", "3+5"), "451 4.3.0", marks=pytest.mark.long),
        (fail_at("rename", "EIO", "2+3"), "451 4.3.0"),
    ],
    ids=str,
)
def test_a_disk_error_at_intake_is_answered_for_now_and_leaves_nothing_behind(
    install: Install, sink: CountingSink, fault: Fault, reply: str
) -> None:
    mailspool = install(env=IN_FILES)
    mailspool.start()
    healthy = mailspool.listeners[0]
    healthy.stop()
    mailspool.listeners[0] = process_with(mailspool, healthy, fault)
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
    wait_until(lambda: not mailspool.message_files(), "no file is left", 15)


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
