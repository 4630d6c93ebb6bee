"""Death at every step between a file in the drop folder and an entry in the spool."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from tests.crash.conftest import Install
from tests.crash.extent import some
from tests.crash.faults import can_inject, commits, dies, kill_at, process_with
from tests.crash.ledger import SENDER, Ledger, settle, some_recipients
from tests.crash.remains import assert_nothing_is_left, assert_one_outcome_each
from tests.support.messages import a_message
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not can_inject(), reason="needs strace, and the right to trace")


def _keep_dropping(drop: Path, ledger: Ledger, stop: threading.Event) -> None:
    """Move files in, as a program would; what lies there counts as promised."""
    chance = random.Random(ledger.prefix)
    while not stop.wait(0.2):
        test_id, recipients = ledger.new_test_id(), some_recipients(chance)
        draft = drop / f"{test_id}.part"
        draft.write_bytes(a_message(recipients, SENDER, subject=test_id, test_id=test_id))
        draft.rename(drop / f"{test_id}.eml")
        ledger.acknowledged[test_id] = recipients


@pytest.mark.long
def test_each_dropped_file_is_sent_once_though_the_scheduler_dies_while_taking_it(
    install: Install, sink: CountingSink, durable_postgres: PostgresServer | None
) -> None:
    mailspool = install()
    mailspool.start()
    healthy = mailspool.scheduler
    healthy.stop()
    drop = mailspool.home / "drop"
    ledger = Ledger("drop")
    stop = threading.Event()
    dropping = threading.Thread(target=_keep_dropping, args=(drop, ledger, stop))
    dropping.start()
    faults = some(
        [
            *(kill_at("rename", number) for number in (1, 2, 6, 9)),
            *(kill_at("fsync", number) for number in (1, 2)),
            *(kill_at("unlink", number) for number in (1, 3)),
            *commits(durable_postgres, (1, 3)),
        ]
    )
    missed = []
    for fault in faults:
        mailspool.scheduler = process_with(mailspool, healthy, fault)
        mailspool.scheduler.start()
        if not dies(mailspool.scheduler):
            missed.append(str(fault))
        mailspool.scheduler.kill()
    stop.set()
    dropping.join()
    mailspool.scheduler = healthy
    healthy.start()
    wait_until(lambda: not [path for path in drop.rglob("*") if path.is_file()], "all files are taken", 20)
    mailspool.wait_until_empty(30)
    account = settle(ledger, mailspool, sink)
    print(f"{len(faults)} deaths, {len(ledger.acknowledged)} dropped: {account}")
    assert not missed, "these faults did not hit"
    assert not account.lost
    assert account.remote_duplicates == account.local_duplicates == 0
    assert_one_outcome_each(mailspool, ledger)
    assert_nothing_is_left(mailspool, ledger)
