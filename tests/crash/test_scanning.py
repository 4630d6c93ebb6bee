"""Killing workers, scanners and the database while infected and clean mail flows."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from tests.crash.chaos import Chaos
from tests.crash.conftest import Install
from tests.crash.extent import LONG, SEED
from tests.crash.ledger import REMOTE_DOMAIN, Clients, Ledger, settle
from tests.crash.remains import assert_nothing_is_left, assert_one_outcome_each
from tests.support.clamd import EICAR, Clamd
from tests.support.few_children import FewChildren
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink
from tests.support.spamd import GTUBE
from tests.support.waiting import wait_until

SECONDS = 60.0 if LONG else 8.0
_SETTINGS = """
from quarantine.models import AntivirusSettings
row = AntivirusSettings.load()
row.clamd_servers, row.clamd_timeout_seconds = {servers!r}, 5
row.full_clean()
row.save()
"""
_SPAMASSASSIN = """
from quarantine.models import Check
check = Check(name="SpamAssassin", kind="spamd", where="{server}", parallel=3, outbound=True)
check.full_clean()
check.save()
"""


@pytest.fixture
def clamd() -> Iterator[Clamd]:
    server = Clamd()
    server.start()
    yield server
    server.remove()


@pytest.mark.long
def test_no_message_is_both_quarantined_and_delivered_or_lost_while_everything_is_killed(
    install: Install, sink: CountingSink, durable_postgres: PostgresServer | None, clamd: Clamd
) -> None:
    print(f"MAILSPOOL_CRASH_SEED={SEED}")
    chance = random.Random(SEED)
    mailspool = install(workers=2)
    mailspool.settings(max_deliveries=80)
    mailspool.run(_SETTINGS.format(servers=clamd.address))
    mailspool.start()
    clean, sick = Ledger("clean"), Ledger("sick")
    clients = [
        Clients(mailspool, clean, count=2, pause_seconds=0.05),
        Clients(mailspool, sick, count=2, pause_seconds=0.05, body=EICAR.decode() + "\r\n"),
    ]
    chaos = Chaos(mailspool, durable_postgres, chance)
    for one in clients:
        one.start()
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        time.sleep(chance.uniform(0.3, 1.2))
        if chance.random() < 0.3:
            clamd.daemon.kill()
            time.sleep(chance.uniform(0.0, 0.5))
            clamd.start()
        else:
            chaos.strike()
    for one in clients:
        one.stop()
    if not LONG:
        mailspool.let_leases_lapse()
    _wait_until_empty(mailspool)
    account = settle(clean, mailspool, sink)
    print(f"{len(clean.acknowledged)} clean, {len(sick.acknowledged)} infected; killed {dict(chaos.kills)}: {account}")
    assert len(clean.acknowledged) > 20 and len(sick.acknowledged) > 20, "too little mail flowed to mean anything"
    assert not account.lost
    assert_one_outcome_each(mailspool, clean)
    infected = settle(sick, mailspool, sink)
    assert not infected.remote and infected.lost == sick.promised, "infected mail was delivered"
    held = {subject for (subject,) in mailspool.rows("SELECT subject FROM quarantine_item WHERE state = 'held'")}
    assert held >= sick.acknowledged.keys() and not held & clean.acknowledged.keys()
    # Files that a kill left in the spool are brought in by the hourly job; none is taken for a leftover before.
    mailspool.run("from spool.tasks import forget\nforget()")
    for name, content in _files_of_items(mailspool):
        assert EICAR in content, name
    assert_nothing_is_left(mailspool, clean)


@pytest.mark.long
def test_outgoing_spam_that_waits_in_line_for_its_check_is_caught_though_its_workers_are_killed(
    install: Install, sink: CountingSink
) -> None:
    mailspool = install(workers=2)
    with FewChildren(children=3, seconds=0.2) as engine:
        mailspool.run(_SPAMASSASSIN.format(server=engine.address))
        mailspool.start()
        for number in range(24):
            content = f"From: ann@here.test\r\nSubject: {number}\r\nX-Test-Id: {number}\r\n\r\n{GTUBE}\r\n"
            mailspool.send("ann@here.test", f"bob@{REMOTE_DOMAIN}", content.encode())
        for answers in (3, 9):
            wait_until(lambda: engine.answers >= answers, "some were looked at", 30)  # noqa: B023
            for worker in mailspool.workers:
                worker.kill()
            mailspool.lapse_leases()
            mailspool.revive()
        wait_until(lambda: mailspool.is_empty, f"all are taken out of the spool\n{mailspool.log_tails()}", 60)
    subjects = sorted(int(subject) for (subject,) in mailspool.rows("SELECT subject FROM quarantine_item"))
    assert subjects == list(range(24)), "one was lost, or is there twice"
    assert sink.receipts() == [], "spam left unchecked"


def _wait_until_empty(mailspool: MailspoolUnderTest) -> None:
    """Have what was held for want of a scanner tried now instead of in a minute."""
    deadline = time.monotonic() + 90

    def empty() -> bool:
        if mailspool.is_empty or time.monotonic() > deadline:
            return mailspool.is_empty
        mailspool.manage("spool", "force", "--status", "virus", "--yes", "--json", check=False)
        return mailspool.is_empty

    wait_until(empty, "the spool is empty", 95, every=1.0)


def _files_of_items(mailspool: MailspoolUnderTest) -> list[tuple[str, bytes]]:
    folder = mailspool.home / "quarantine"
    found = {path.name: path.read_bytes() for path in folder.rglob("*.eml")}
    names = [name for (name,) in mailspool.rows("SELECT file_name FROM quarantine_item")]
    assert sorted(found) == sorted(names)
    return list(found.items())
