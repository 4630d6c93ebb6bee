"""PostgreSQL fails over to its standby: every process finds the one that takes writes, and nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.crash.ledger import Clients, Ledger, settle
from tests.crash.remains import assert_one_outcome_each
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import USER, PostgresServer
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.long, pytest.mark.postgresql]


@pytest.fixture
def servers() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """A primary, and the standby that it waits for."""
    primary, standby = PostgresServer(), PostgresServer()
    primary.start()
    standby.follow(primary)
    yield primary, standby
    primary.kill()
    for server in (standby, primary):
        server.remove()


def test_mail_goes_on_with_the_standby(
    servers: tuple[PostgresServer, PostgresServer],
    install_on: Callable[[str], MailspoolUnderTest],
    sink: CountingSink,
) -> None:
    primary, standby = servers
    primary.command("CREATE DATABASE mail")
    hosts = ",".join(str(server.folder) for server in servers)
    mailspool = install_on(f"postgres://{USER}@/mail?host={hosts}&target_session_attrs=read-write")
    mailspool.start()
    ledger = Ledger("failover")
    clients = Clients(mailspool, ledger, pause_seconds=0.05)
    clients.start()
    wait_until(lambda: len(ledger.acknowledged) > 30, "mail flows", 60)
    primary.kill()
    time.sleep(2)
    standby.promote()
    before = len(ledger.acknowledged)
    wait_until(lambda: len(ledger.acknowledged) > before + 30, "mail flows again", 60)
    clients.stop()
    mailspool.wait_until_empty(90)
    account = settle(ledger, mailspool, sink)
    print(f"{len(ledger.acknowledged)} acknowledged: {account}")
    assert not account.lost
    assert account.remote_duplicates == account.local_duplicates == 0
    assert_one_outcome_each(mailspool, ledger)
    assert not [daemon.name for daemon in mailspool.daemons if not daemon.alive], "nothing had to be started anew"
