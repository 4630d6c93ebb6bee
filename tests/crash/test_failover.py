"""PostgreSQL fails over to its standby, and Redis to its copy: every process finds it, and nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from tests.crash.conftest import Install
from tests.crash.ledger import Clients, Ledger, settle
from tests.crash.remains import assert_one_outcome_each
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import USER, PostgresServer
from tests.support.redis import WatchedRedis
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

pytestmark = pytest.mark.long


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


@pytest.mark.postgresql
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


def test_mail_and_jobs_go_on_with_the_copy_of_redis(install: Install, sink: CountingSink, tmp_path: Path) -> None:
    watched = WatchedRedis(tmp_path / "watched")
    watched.start()
    try:
        mailspool = install(redis=watched)
        mailspool.start()
        ledger = Ledger("sentinel")
        clients = Clients(mailspool, ledger, pause_seconds=0.05)
        clients.start()
        wait_until(lambda: len(ledger.acknowledged) > 30, "mail flows", 60)
        watched.servers[0].kill()
        before = len(ledger.acknowledged)
        wait_until(lambda: len(ledger.acknowledged) > before + 30, "mail flows", 60)
        clients.stop()
        mailspool.wait_until_empty(60)
        assert not settle(ledger, mailspool, sink).lost
        # Only now: none is taken while it fails over.
        wait_until(lambda: _takes_writes(watched), "the copy has taken over", 60)
        mailspool.wait_for_workers(60)
        job = (
            "from spool.flow import doorbell\ndoorbell.maintenance_queue().enqueue('spool.tasks.sweep', job_id='swept')"
        )
        mailspool.run(job)
        wait_until(lambda: _is_finished(watched, "swept"), "the worker for jobs goes on", 90)
        assert not [daemon.name for daemon in mailspool.daemons if not daemon.alive], "nothing had to be started anew"
    finally:
        watched.kill()


def _takes_writes(watched: WatchedRedis) -> bool:
    try:
        with watched.client() as client:
            return bool(client.set("probe", "1"))
    except RedisError:
        return False


def _is_finished(watched: WatchedRedis, job_id: str) -> bool:
    with watched.client() as client:
        return client.hget(f"rq:job:{job_id}", "status") == b"finished"
