"""SIGTERM in the middle of it all: what is on its way is finished, the rest is left for others, nothing is lost."""

from __future__ import annotations

import signal
import time

import pytest

from tests.crash.conftest import Install
from tests.crash.extent import LONG
from tests.crash.ledger import REMOTE_DOMAIN, Clients, Ledger, settle
from tests.crash.remains import assert_nothing_is_left, assert_one_outcome_each
from tests.support.sink import CountingSink
from tests.support.smtp_peer import SmtpPeer
from tests.support.waiting import wait_until


def test_a_stop_in_mid_flow_drains_and_leaves_no_lease_behind(install: Install, sink: CountingSink) -> None:
    mailspool = install(workers=2)
    mailspool.start()
    ledger = Ledger("drain")
    clients = Clients(mailspool, ledger)
    clients.start()
    for _ in range(3 if LONG else 1):
        mailspool.wait_for_workers()
        before = len(sink.receipts())
        wait_until(lambda: len(sink.receipts()) > before + 50, "mail flows", 20)  # noqa: B023
        processes = [*mailspool.listeners, *mailspool.workers, mailspool.scheduler]
        started = time.monotonic()
        for daemon in processes:
            daemon.signal(signal.SIGTERM)
        statuses = {daemon.name: daemon.finish() for daemon in processes}
        seconds = time.monotonic() - started
        assert set(statuses.values()) == {0}, str(statuses)
        assert seconds < 30, f"the stop took {seconds:.1f} s"
        assert mailspool.rows("SELECT file_name FROM spool_entry WHERE leased_by <> ''") == []
        names = {path.name for path in mailspool.message_files()}
        with_file = "NOT EXISTS (SELECT 1 FROM spool_content c WHERE c.entry_id = e.id)"
        assert names == {name for (name,) in mailspool.rows(f"SELECT file_name FROM spool_entry e WHERE {with_file}")}
        for daemon in processes:
            daemon.start()
        mailspool.wait_for_listener()
    clients.stop()
    mailspool.wait_until_empty(60)
    account = settle(ledger, mailspool, sink)
    print(f"{len(ledger.acknowledged)} acknowledged, {len(ledger.unanswered)} without an answer: {account}")
    assert not account.lost
    assert account.remote_duplicates == account.local_duplicates == 0
    assert_one_outcome_each(mailspool, ledger)
    assert_nothing_is_left(mailspool, ledger)


@pytest.mark.parametrize("redis_dies", ["in the pass", pytest.param("before it", marks=pytest.mark.long)])
def test_a_stop_without_redis_finishes_what_is_on_the_wire(install: Install, redis_dies: str) -> None:
    mailspool = install()
    with SmtpPeer() as peer:
        peer.delay_seconds = 0.5
        mailspool.settings(smtp_out_port=peer.port)
        mailspool.start()
        if redis_dies == "before it":
            wait_until(mailspool.waits_for_a_job, "the worker has nothing to do", 30)
            mailspool.redis.kill()
        mailspool.send("", [f"ann{n}@{REMOTE_DOMAIN}" for n in range(3)], b"Subject: on the wire\r\n\r\nHello.\r\n")
        wait_until(lambda: "DATA" in peer.commands, "it is on the wire", 20)
        mailspool.redis.kill()
        for daemon in [*mailspool.workers, mailspool.scheduler]:
            daemon.signal(signal.SIGTERM)
        for daemon in [*mailspool.workers, mailspool.scheduler]:
            daemon.wait(30)

    assert len(peer.taken) == 1
    assert mailspool.rows("SELECT file_name, leased_by FROM spool_entry") == []
