"""Redis or the database is away for long: no process ends, mail goes on as far as it can, and all is well after it."""

from __future__ import annotations

import http.client
import json
import signal
import smtplib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import pytest
from redis.exceptions import RedisError

from base.redis_pool import ANSWER_SECONDS
from spool.monitoring.names import KINDS
from spool.monitoring.programs import NEEDED
from tests.crash.conftest import Install
from tests.crash.ledger import LOCAL, SENDER
from tests.support.daemon import Daemon
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

# RQ looks up from waiting every five seconds, and a Redis that hangs is found out about in eight.
_NOTICED_SECONDS = 40.0
_MOST_LINES = 12


@contextmanager
def killed(mailspool: MailspoolUnderTest) -> Iterator[None]:
    mailspool.redis.kill()
    yield
    mailspool.redis.start()


@contextmanager
def hanging(mailspool: MailspoolUnderTest) -> Iterator[None]:
    mailspool.redis.daemon.signal(signal.SIGSTOP)
    yield
    mailspool.redis.daemon.signal(signal.SIGCONT)


@contextmanager
def unable_to_write(mailspool: MailspoolUnderTest) -> Iterator[None]:
    """MISCONF: its file can't be saved, so it takes no writes, though it answers."""
    in_the_way = mailspool.home / "redis" / "dump.rdb"
    in_the_way.mkdir()
    with mailspool.redis.client() as client:
        client.config_set("save", "3600 1000000")
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "saving fails", 10)
        with pytest.raises(RedisError, match="MISCONF"):
            client.set("a", "b")
        yield
        client.config_set("save", "")
    in_the_way.rmdir()


@contextmanager
def read_only(mailspool: MailspoolUnderTest) -> Iterator[None]:
    """READONLY: a failover has made it a replica."""
    with mailspool.redis.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        yield
        client.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def behind_a_password(mailspool: MailspoolUnderTest) -> Iterator[None]:
    """NOAUTH: somebody has given it one."""
    with mailspool.redis.client() as client:
        client.ping()
        client.config_set("requirepass", "hunter2")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        yield
        client.execute_command("AUTH", "hunter2")
        client.config_set("requirepass", "")


_LONG = [pytest.param(each, marks=pytest.mark.long) for each in (hanging, read_only, behind_a_password)]
# What Redis answers has nothing to do with the database.
_OUTAGES = [killed, pytest.param(unable_to_write, marks=pytest.mark.sqlite), *_LONG]


@pytest.mark.parametrize("outage", _OUTAGES, ids=lambda each: each.__name__)
def test_no_process_ends_while_redis_is_away(
    install: Install, sink: CountingSink, outage: Callable[[MailspoolUnderTest], AbstractContextManager[None]]
) -> None:
    mailspool = install()
    mailspool.start()
    pids = [daemon.pid for daemon in mailspool.daemons]
    wait_until(lambda: _waiting_workers(mailspool) == 2, "both workers wait for a job", 20)
    with outage(mailspool):
        for worker, words in ((mailspool.workers[0], "delivered without it"), (mailspool.maintenance, "waits for it")):
            wait_until(lambda: words in worker.log_tail(100_000), f"{worker.name} has noticed", _NOTICED_SECONDS)  # noqa: B023
        mailspool.send(SENDER, LOCAL[0], a_message(to=LOCAL[0]))
        mailspool.wait_until_empty()
        assert [daemon.pid for daemon in mailspool.daemons if daemon.alive] == pids, mailspool.log_tails()

    wait_until(lambda: _waiting_workers(mailspool) == 2, "both workers wait for a job", 20)
    wait_until(lambda: _everyone_lives(mailspool), "all have told that they live", 20)
    mailspool.run(
        "from spool.flow import doorbell\n"
        "doorbell.maintenance_queue().enqueue('spool.tasks.sweep', job_id='proof', result_ttl=60)"
    )
    with mailspool.redis.client() as client:
        wait_until(lambda: client.hget("rq:job:proof", "status") == b"finished", "a job is worked off", 20)
    assert [daemon.pid for daemon in mailspool.daemons if daemon.alive] == pids, mailspool.log_tails()
    for daemon in mailspool.daemons:
        assert len(_about_the_outage(daemon)) <= _MOST_LINES, daemon.log_tail(20_000)
    assert set(mailspool.stop().values()) == {0}


def test_nobody_who_sends_waits_for_a_redis_that_hangs(install: Install, sink: CountingSink) -> None:
    mailspool = install()
    mailspool.start()
    longest = 0.0
    with hanging(mailspool):
        for _ in range(40):
            began = time.monotonic()
            mailspool.send(SENDER, LOCAL[0], a_message(to=LOCAL[0]))
            longest = max(longest, time.monotonic() - began)
    assert longest < ANSWER_SECONDS, "somebody waited for an answer"


@pytest.mark.sqlite
def test_who_ends_in_order_is_not_missed_and_who_is_killed_is(install: Install, sink: CountingSink) -> None:
    mailspool = install(web=True)
    mailspool.start()
    wait_until(lambda: _get(mailspool, "/readyz")[0] == 200, "it is ready", 30)
    wait_until(lambda: len(_kinds(mailspool)) == len(KINDS), "every kind is known", 20)
    mailspool.listeners[0].kill()
    for daemon in mailspool.daemons:
        daemon.signal(signal.SIGTERM)
    for daemon in mailspool.daemons:
        daemon.finish()
    assert _kinds(mailspool) == {"listeners"}


def _kinds(mailspool: MailspoolUnderTest) -> set[str]:
    return {kind for (kind,) in mailspool.rows("SELECT kind FROM spool_program")}


@pytest.mark.sqlite
def test_workers_end_in_order_while_redis_is_away(install: Install, sink: CountingSink) -> None:
    mailspool = install()
    mailspool.start()
    wait_until(lambda: _waiting_workers(mailspool) == 2, "both workers wait for a job", 20)
    with killed(mailspool):
        worker = mailspool.workers[0]
        wait_until(lambda: "delivered without it" in worker.log_tail(100_000), "it has noticed", _NOTICED_SECONDS)
        assert [worker.stop(), mailspool.maintenance.stop()] == [0, 0]


@pytest.mark.sqlite
@pytest.mark.parametrize("part", ["workers", "maintenance"])
def test_a_worker_starts_without_redis(install: Install, sink: CountingSink, part: str) -> None:
    mailspool = install()
    worker = mailspool.maintenance if part == "maintenance" else mailspool.workers[0]
    worker.start(lambda: worker.has_printed("can't start yet"))
    mailspool.redis.start()
    wait_until(lambda: _waiting_workers(mailspool) == 1, "it waits for a job", 30)
    assert worker.stop() == 0


@pytest.mark.postgresql
def test_no_process_ends_while_postgresql_is_away(
    install: Install, sink: CountingSink, durable_postgres: PostgresServer
) -> None:
    mailspool = install(web=True, env={"MAILSPOOL_METRICS_TOKEN": "s3cret"})
    mailspool.start()
    pids = [daemon.pid for daemon in mailspool.daemons]
    durable_postgres.kill()
    try:
        with pytest.raises(smtplib.SMTPException, match="451"):
            mailspool.send(SENDER, LOCAL[0], a_message(to=LOCAL[0]))
        for _ in range(3):
            assert _get(mailspool, "/metrics")[0] == 200
            assert 'mailspool_up{part="database"} 0.0' in _get(mailspool, "/metrics")[1]
            status, page = _get(mailspool, "/admin/", forwarded=True)
            assert (status, "The database is away" in page) == (503, True)
        assert _get(mailspool, "/metrics", forwarded=True)[0] in (403, 503)
        mailspool.run("from spool.flow import doorbell\ndoorbell.ring()")
        for daemon in (*mailspool.workers, mailspool.scheduler, *mailspool.listeners):
            wait_until(lambda: _about_the_outage(daemon), f"{daemon.name} has noticed", 30)  # noqa: B023
        assert [daemon.pid for daemon in mailspool.daemons if daemon.alive] == pids, mailspool.log_tails()
    finally:
        durable_postgres.start()
    _is_well_again(mailspool, pids)


@pytest.mark.postgresql
@pytest.mark.long
def test_no_process_ends_while_postgresql_hangs(
    install: Install, sink: CountingSink, durable_postgres: PostgresServer
) -> None:
    mailspool = install(web=True)
    mailspool.start()
    pids = [daemon.pid for daemon in mailspool.daemons]
    durable_postgres.signal(signal.SIGSTOP)
    try:
        time.sleep(45)
        assert [daemon.pid for daemon in mailspool.daemons if daemon.alive] == pids, mailspool.log_tails()
        assert 'mailspool_up{part="database"} 0.0' in _get(mailspool, "/metrics")[1]
        assert _get(mailspool, "/readyz")[0] == 503
    finally:
        durable_postgres.signal(signal.SIGCONT)
    _is_well_again(mailspool, pids)


@pytest.mark.postgresql
@pytest.mark.long
def test_no_process_ends_while_both_are_away(
    install: Install, sink: CountingSink, durable_postgres: PostgresServer
) -> None:
    mailspool = install(web=True)
    mailspool.start()
    pids = [daemon.pid for daemon in mailspool.daemons]
    durable_postgres.kill()
    mailspool.redis.kill()
    try:
        time.sleep(45)
        assert [daemon.pid for daemon in mailspool.daemons if daemon.alive] == pids, mailspool.log_tails()
        found = _get(mailspool, "/metrics")[1]
        assert 'mailspool_up{part="database"} 0.0' in found
        assert 'mailspool_up{part="redis"} 0.0' in found
    finally:
        durable_postgres.start()
        mailspool.redis.start()
    _is_well_again(mailspool, pids)


def _is_well_again(mailspool: MailspoolUnderTest, pids: list[int]) -> None:
    """Mail flows, the console is back, all live that lived before, and their logs are no flood."""
    wait_until(lambda: _is_taken(mailspool), "mail is taken again", 20)
    mailspool.wait_until_empty()
    wait_until(lambda: _get(mailspool, "/admin/login/")[0] == 200, "the console is back", 20)
    wait_until(lambda: _get(mailspool, "/readyz")[0] == 200, "it is ready", 30)
    assert [daemon.pid for daemon in mailspool.daemons if daemon.alive] == pids, mailspool.log_tails()
    for daemon in mailspool.daemons:
        assert len(_about_the_outage(daemon)) <= _MOST_LINES, daemon.log_tail(20_000)
        assert "Traceback" not in daemon.log_tail(100_000), daemon.log_tail(20_000)
    assert set(mailspool.stop().values()) == {0}


def _waiting_workers(mailspool: MailspoolUnderTest) -> int:
    """How many RQ knows, and wait for a job."""
    with mailspool.redis.client() as client:
        return sum(client.hget(key, "state") == b"idle" for key in client.smembers("rq:workers"))


def _everyone_lives(mailspool: MailspoolUnderTest) -> bool:
    """Whether every kind of program is alive, by its signs of life."""
    [machine] = json.loads(mailspool.manage("machine", "list", "--json").stdout)
    return machine["state"] == "running" and not machine["missing"] and machine["programs"].count("=1") == len(NEEDED)


def _about_the_outage(daemon: Daemon) -> list[str]:
    words = ("Redis", "Timeout", "MISCONF", "database", "connection", "server closed")
    return [line for line in daemon.log_tail(100_000).splitlines() if any(word in line for word in words)]


def _is_taken(mailspool: MailspoolUnderTest) -> bool:
    try:
        mailspool.send(SENDER, LOCAL[0], a_message(to=LOCAL[0]))
    except (OSError, smtplib.SMTPException):
        return False
    return True


def _get(mailspool: MailspoolUnderTest, path: str, *, forwarded: bool = False) -> tuple[int, str]:
    """Status and text of a page, asked for by a program on this machine or through a proxy."""
    headers = {"X-Forwarded-For": "192.0.2.1"} if forwarded else {}
    with closing(http.client.HTTPConnection("127.0.0.1", mailspool.web_port, timeout=30)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
