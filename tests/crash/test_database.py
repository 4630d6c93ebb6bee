"""A database that refuses, fails or leaves open whether it has committed, while mail comes in and goes out."""

from __future__ import annotations

import random
import smtplib
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.crash.conftest import Install
from tests.crash.faults import Fault, can_inject, fail_at
from tests.crash.ledger import Clients, Ledger, send_one, settle, some_recipients
from tests.crash.remains import assert_nothing_is_left, assert_one_outcome_each
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.postgres_proxy import Cut, PostgresProxy
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

pytestmark = pytest.mark.both

# A short run has the one that is hardest to see through.
_CUTS = [
    pytest.param(Cut.BEFORE, id="before", marks=pytest.mark.long),
    pytest.param(Cut.ANSWER, id="answer"),
    pytest.param(Cut.LATE, id="late", marks=pytest.mark.long),
]


@pytest.fixture
def postgres(durable_postgres: PostgresServer | None) -> PostgresServer:
    assert durable_postgres is not None
    return durable_postgres


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[PostgresProxy]:
    proxy = PostgresProxy(postgres.folder)
    yield proxy
    proxy.close()


def _send(mailspool: MailspoolUnderTest, ledger: Ledger, count: int) -> None:
    chance = random.Random(ledger.prefix)
    for _ in range(count):
        try:
            with mailspool.smtp() as client:
                send_one(client, ledger, some_recipients(chance), 600)
        except (OSError, smtplib.SMTPException):
            time.sleep(0.1)


def _settled(mailspool: MailspoolUnderTest, ledger: Ledger, sink: CountingSink) -> None:
    """Everything acknowledged was delivered once, and nothing else was."""
    mailspool.wait_until_empty(60)
    account = settle(ledger, mailspool, sink)
    print(f"{len(ledger.acknowledged)} acknowledged, {len(ledger.refused)} refused: {account}")
    assert not account.lost
    assert account.remote_duplicates == account.local_duplicates == 0
    assert not account.refused_but_delivered
    assert_one_outcome_each(mailspool, ledger)
    # The files go a moment after their rows.
    wait_until(lambda: not mailspool.message_files(), "no file is left", 15)
    assert_nothing_is_left(mailspool, ledger)


@pytest.mark.postgresql
@pytest.mark.parametrize("where", _CUTS)
def test_a_commit_of_intake_whose_answer_is_lost_is_found_out_about(
    install: Install, sink: CountingSink, postgres: PostgresServer, proxy: PostgresProxy, where: Cut
) -> None:
    mailspool = install()
    mailspool.listeners[0].env["DATABASE_URL"] = proxy.url(mailspool.database_url, postgres.folder)
    mailspool.start()
    ledger = Ledger("answer")
    for _ in range(4):
        proxy.cut(where)
        _send(mailspool, ledger, 2)
    assert proxy.cuts == 4
    assert len(ledger.acknowledged) == 8, "clients had to come again"
    _settled(mailspool, ledger, sink)


@pytest.mark.postgresql
@pytest.mark.parametrize("where", _CUTS)
def test_a_commit_of_results_whose_answer_is_lost_records_each_once(
    install: Install, sink: CountingSink, postgres: PostgresServer, proxy: PostgresProxy, where: Cut
) -> None:
    mailspool = install()
    mailspool.workers[0].env["DATABASE_URL"] = proxy.url(mailspool.database_url, postgres.folder)
    mailspool.start()
    ledger = Ledger("record")
    clients = Clients(mailspool, ledger, pause_seconds=0.05)
    clients.start()
    for _ in range(8):
        proxy.cut(where)
        wait_until(lambda: not proxy.is_waiting, "the line was cut", 20)
        time.sleep(0.1)
    clients.stop()
    # Whose leasing got no answer is worked on when the lease has lapsed.
    mailspool.let_leases_lapse()
    _settled(mailspool, ledger, sink)
    attempts = mailspool.rows("SELECT file_name, at, recipients, count(*) FROM spool_attempt GROUP BY 1, 2, 3")
    assert {count for *_, count in attempts} == {1}, "an attempt was logged twice"


@pytest.mark.postgresql
def test_a_read_only_database_refuses_for_now_and_goes_on_afterwards(
    install: Install, sink: CountingSink, postgres: PostgresServer
) -> None:
    mailspool = install()
    mailspool.start()
    ledger = Ledger("readonly")
    clients = Clients(mailspool, ledger, count=2, pause_seconds=0.05)
    clients.start()
    wait_until(lambda: len(ledger.acknowledged) > 20, "mail flows", 20)
    _read_only(mailspool, "on")
    wait_until(lambda: len(ledger.refused) > 3, "mail is refused", 20)
    assert {reply[:3] for reply in ledger.refused.values()} == {"451"}
    _read_only(mailspool, "off")
    taken = len(ledger.acknowledged)
    wait_until(lambda: len(ledger.acknowledged) > taken + 20, "mail is taken again", 30)
    clients.stop()
    _settled(mailspool, ledger, sink)


def _read_only(mailspool: MailspoolUnderTest, state: str) -> None:
    """For all sessions, those that are open included: they are ended."""
    url = mailspool.database_url.replace("postgres://", "postgresql://", 1)
    with psycopg.connect(url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {state}")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            [name],
        )


_SQLITE_FAULTS = [
    fail_at("pwrite64", "ENOSPC", "40..45"),
    pytest.param(fail_at("pwrite64", "EROFS", "40..45"), marks=pytest.mark.long),
    fail_at("fdatasync", "EIO", "5+4"),
]


@pytest.mark.sqlite
@pytest.mark.skipif(not can_inject(), reason="needs strace, and the right to trace")
@pytest.mark.parametrize("part", ["listener", pytest.param("worker", marks=pytest.mark.long)])
@pytest.mark.parametrize("fault", _SQLITE_FAULTS, ids=str)
def test_a_database_file_that_fails_refuses_for_now_and_loses_nothing(
    install: Install, sink: CountingSink, part: str, fault: Fault
) -> None:
    mailspool = install()
    daemon = (mailspool.listeners if part == "listener" else mailspool.workers)[0]
    daemon.command = [*fault.wrapper, *daemon.command]
    mailspool.start()
    ledger = Ledger(part)
    # The faults are counted by the thread, so how many messages it takes to meet one depends on how they are batched.
    clients = Clients(mailspool, ledger, count=2, pause_seconds=0.02)
    clients.start()
    if part == "listener":
        wait_until(lambda: ledger.refused, "the faults hit", 40)
    else:
        wait_until(lambda: "trying again" in daemon.log_tail(100_000), "the faults hit", 40)
    taken = len(ledger.acknowledged)
    wait_until(lambda: len(ledger.acknowledged) > taken + 20, "mail is taken again", 40)
    clients.stop()
    assert {reply[:3] for reply in ledger.refused.values()} <= {"451", "452"}
    _settled(mailspool, ledger, sink)
