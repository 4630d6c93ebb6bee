"""Two machines on one database and one Redis: one is drained, or dies, while mail flows through both."""

from __future__ import annotations

import http.client
import json
import smtplib
from typing import Any

import pytest

from tests.crash.conftest import DATABASE, Pair
from tests.crash.extent import LONG
from tests.crash.ledger import Clients, Ledger, settle
from tests.crash.remains import assert_one_outcome_each
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

pytestmark = pytest.mark.postgresql
Both = tuple[MailspoolUnderTest, MailspoolUnderTest]


@pytest.fixture
def both(pair: Pair) -> Both:
    """mx1 and mx2: both take mail and deliver it."""
    first, second = pair(DATABASE, web=True)
    second.manage("check", "--mark")
    first.start()
    second.start()
    return first, second


def machines(mailspool: MailspoolUnderTest) -> dict[str, dict[str, Any]]:
    found = json.loads(mailspool.manage("machine", "list", "--json").stdout)
    return {one["machine"]: one for one in found}


def readiness(mailspool: MailspoolUnderTest) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", mailspool.web_port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()


def greeting(mailspool: MailspoolUnderTest) -> int:
    try:
        with mailspool.smtp():
            return 220
    except smtplib.SMTPConnectError as error:
        return int(error.smtp_code)


def leased_by(mailspool: MailspoolUnderTest) -> int:
    pids = [pid for worker in mailspool.workers for pid in worker.pids]
    [(number,)] = mailspool.rows(
        "SELECT count(*) FROM spool_entry WHERE " + " OR ".join(f"leased_by LIKE '%:{pid}:%'" for pid in pids)
    )
    return int(number)


def assert_delivered_once(ledger: Ledger, mailspool: MailspoolUnderTest, sink: CountingSink) -> None:
    """Everything that was promised, through whichever of them."""
    mailspool.wait_until_empty(60)
    account = settle(ledger, mailspool, sink)
    print(f"{len(ledger.acknowledged)} acknowledged: {account}")
    assert not account.lost
    assert account.remote_duplicates == account.local_duplicates == 0
    assert_one_outcome_each(mailspool, ledger)


def acting(mailspool: MailspoolUnderTest) -> str:
    """The machine whose scheduler acts."""
    found = mailspool.rows("SELECT holder FROM spool_duty WHERE name = 'scheduler'")
    return str(found[0][0]).partition("|")[0] if found else ""


def worker_of_a_job(mailspool: MailspoolUnderTest, job_id: str) -> str:
    """The machine on which a new job of the background is done."""
    mailspool.run(
        "from spool.flow import doorbell\n"
        f"doorbell.maintenance_queue().enqueue('spool.tasks.sweep', job_id='{job_id}', result_ttl=60)"
    )
    with mailspool.redis.client() as client:
        key = f"rq:job:{job_id}"
        wait_until(lambda: client.hget(key, "status") == b"finished", "the job is done", 30)
        name = (client.hget(key, "worker_name") or b"").decode()
    [(machine,)] = mailspool.rows(f"SELECT machine FROM spool_program WHERE shows::text LIKE '%{name}%'")
    return str(machine)


def test_a_machine_is_drained_and_resumed_while_mail_flows(both: Both, sink: CountingSink) -> None:
    first, second = both
    ledger = Ledger("pair")
    clients = [Clients(one, ledger, count=2, pause_seconds=0.1) for one in both]
    for some in clients:
        some.start()
    wait_until(lambda: len(sink.receipts()) > 20, "mail flows", 60)
    for number in range(5 if LONG else 1):
        done = first.manage("machine", "drain", "mx1", "--wait", "--timeout", "60", seconds=90)
        assert "mx1 is drained" in done.stdout
        assert leased_by(first) == 0
        wait_until(lambda: acting(first) == "mx2", "the other's scheduler acts", 20)
        assert greeting(first) == 421
        ready = readiness(first)
        assert [name for name, check in ready["checks"].items() if not check["ok"]] == ["machine"]
        assert readiness(second)["ready"]
        assert worker_of_a_job(first, f"proof-{number}") == "mx2"
        before = len(sink.receipts())
        wait_until(lambda: len(sink.receipts()) > before + 20, "mail flows through the other", 60)  # noqa: B023
        # It is in the database: programs that are started anew are drained, too.
        for daemon in (first.listeners[0], first.workers[0]):
            daemon.stop()
            daemon.start()
        first.wait_for_workers()
        wait_until(lambda: greeting(first) == 421, "a new listener takes nothing either", 30)
        assert leased_by(first) == 0
        assert machines(second)["mx1"]["state"] in ("draining", "drained")
        first.manage("machine", "resume", "mx1")
        wait_until(lambda: greeting(first) == 220, "it takes mail again", 30)
        wait_until(lambda: readiness(first)["ready"], "it is ready again", 30)
    wait_until(lambda: machines(first)["mx1"]["delivered a minute"] > 0, "it delivers again", 60)
    for some in clients:
        some.stop()
    assert_delivered_once(ledger, first, sink)


def test_another_scheduler_acts_within_seconds_when_the_machine_of_the_one_that_did_is_gone(both: Both) -> None:
    first, second = both
    wait_until(lambda: acting(first) in ("mx1", "mx2"), "one acts", 20)
    gone, left = (first, "mx2") if acting(first) == "mx1" else (second, "mx1")
    for daemon in gone.daemons:
        daemon.kill()
    wait_until(lambda: acting(first) == left, "the other acts", 30)
    alive = second if left == "mx2" else first
    with alive.redis.client() as client:

        def has_the_lock() -> bool:
            name = (client.get("rq:scheduler-lock:mail") or b"").decode()
            return int(client.hget(f"rq:scheduler:{name}", "pid") or 0) in alive.scheduler.pids

        wait_until(has_the_lock, "it has RQ's lock, too", 20)
    name = "mx1" if left == "mx2" else "mx2"
    wait_until(lambda: machines(alive)[name]["state"] == "missed", "the machine is missed", 60)
    alive.manage("machine", "forget", name)
    assert set(machines(alive)) == {left}


@pytest.mark.long
def test_a_drain_reaches_a_machine_without_redis(both: Both, sink: CountingSink) -> None:
    first, second = both
    ledger = Ledger("mute")
    clients = Clients(second, ledger, count=1, pause_seconds=0.2)
    clients.start()
    wait_until(lambda: len(sink.receipts()) > 5, "mail flows", 60)
    first.redis.kill()
    try:
        done = second.manage("machine", "drain", "mx1", "--wait", "--timeout", "90", seconds=120)
        assert "mx1 is drained" in done.stdout
        assert greeting(first) == 421
        before = len(sink.receipts())
        wait_until(lambda: len(sink.receipts()) > before + 5, "mail flows through the other", 60)
    finally:
        first.redis.start()
    second.manage("machine", "resume", "mx1")
    wait_until(lambda: greeting(first) == 220, "it takes mail again", 30)
    clients.stop()
    assert_delivered_once(ledger, first, sink)
