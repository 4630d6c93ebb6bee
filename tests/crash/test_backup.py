"""Backups while mail comes in and goes out, and while workers and the backup itself are killed: each is whole."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.chaos import Chaos
from tests.crash.conftest import Install
from tests.crash.extent import LONG, SEED
from tests.crash.ledger import LOCAL, Clients, Ledger, local_deliveries
from tests.crash.remains import findings, found_test_id
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

Promised = dict[str, tuple[str, ...]]

# Some of what is new in the spool, thrown away as an administrator does.
_DELETE = """
from accounts.models import Role
from spool.actions import Actor, perform
from spool.models import Entry
ids = list(Entry.objects.filter(leased_by="").order_by("-id").values_list("id", flat=True)[:3])
perform("delete", ids, Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR)) if ids else None
"""


@pytest.mark.long
def test_a_backup_while_mail_flows_and_parts_are_killed_has_every_message_once(
    install: Install, sink: CountingSink, tmp_path: Path, durable_postgres: PostgresServer | None
) -> None:
    print(f"MAILSPOOL_CRASH_SEED={SEED}")
    chance = random.Random(SEED)
    old = install(tmp_path / "old", workers=2)
    # So that there is always mail that leaves between the snapshot and the copying.
    old.settings(delivery_delay_seconds=2)
    old.start()
    ledger = Ledger("backup")
    clients = Clients(old, ledger, pause_seconds=0.02)
    clients.start()
    wait_until(lambda: len(ledger.acknowledged) > 50, "mail flows", 30)
    backups = tmp_path / "backups"
    promised = _made(old, ledger, backups, Chaos(old, durable_postgres, chance), chance, 4 if LONG else 1)
    clients.stop()
    print(f"{len(ledger.acknowledged)} acknowledged; backups after {[len(before) for before in promised.values()]}")
    old.kill()
    for number, (name, before) in enumerate(promised.items()):
        new = install(tmp_path / f"new{number}", workers=2)
        _empty(new, durable_postgres)
        summary = json.loads(new.manage("restore", str(backups / name), "--json", "--quiet").stdout)
        print(f"{name}: {summary}"[:300])
        assert summary["missing"] == 0
        _settle(new, before)
        new.kill()


def _made(
    old: MailspoolUnderTest, ledger: Ledger, backups: Path, chaos: Chaos, chance: random.Random, count: int
) -> dict[str, Promised]:
    """Backups by name, each with what had been acknowledged before it began. As many again are killed."""
    promised: dict[str, Promised] = {}
    number = 0
    deadline = time.monotonic() + 300
    while len(promised) < count:
        assert time.monotonic() < deadline, f"only {len(promised)} backups came to their end"
        number += 1
        for killed in (True, False):
            old.manage("shell", "-v", "0", "-c", _DELETE, check=False)
            before = dict(ledger.acknowledged)
            daemon = old.process(f"backup-{number}", "backup", str(backups), "--quiet")
            daemon.start()
            time.sleep(chance.uniform(0.0, 0.6))
            if killed:
                daemon.kill()
                continue
            if LONG:
                # The database among them: then there is no backup, and the next one is tried.
                chaos.strike()
            else:
                worker = chance.choice(old.workers)
                worker.kill()
                worker.start()
            if daemon.finish(120) == 0:
                newest = max(backups.glob("*Z")).name
                assert newest not in promised
                promised[newest] = before
            else:
                assert LONG, daemon.log_tail(2000)
    return promised


def _empty(new: MailspoolUnderTest, postgres: PostgresServer | None) -> None:
    """Have nothing in a new installation, not even its domain."""
    shutil.rmtree(new.home)
    new.home.mkdir(mode=0o700)
    if postgres is not None:
        name = new.database_url.partition("?")[0].rpartition("/")[2]
        postgres.drop_database(name)
        postgres.create_database(name)
    (new.home / "redis").mkdir()


def _settle(new: MailspoolUnderTest, before: Promised) -> None:
    """Each message that was acknowledged before is there once, with its file; and ends once when programs run."""
    where = Counter(
        subject
        for (subject,) in new.rows(
            "SELECT subject FROM spool_entry UNION ALL SELECT subject FROM spool_trashed"
            " UNION ALL SELECT subject FROM quarantine_item"
        )
    )
    traced = {subject for (subject,) in new.rows("SELECT DISTINCT subject FROM spool_trace")}
    assert not before.keys() - where.keys() - traced, "some are nowhere"
    assert set(where.values()) <= {1}
    # Exactly the files that rows name, and the message in each that its row means.
    names = dict(
        new.rows("SELECT file_name, subject FROM spool_entry UNION ALL SELECT file_name, subject FROM spool_trashed")
    )
    files = {path.name: found_test_id(path) for path in new.message_files()}
    assert files == names
    assert [found for found in findings(new) if found[0] not in ("lapsed lease", "set aside")] == []
    print(f"{len(where)} in the spool and the trash, {len(traced)} ended before")
    in_trash = {subject for (subject,) in new.rows("SELECT subject FROM spool_trashed")}
    new.start()
    new.wait_until_empty(90)
    outcomes: Counter[tuple[str, str]] = Counter(new.rows("SELECT subject, recipient FROM spool_trace"))
    promised = {(test_id, to) for test_id, recipients in before.items() for to in recipients}
    assert set(outcomes.values()) <= {1}
    assert {test_id for test_id, _ in promised - outcomes.keys()} <= in_trash
    local = local_deliveries(new, "backup")
    assert set(local.values()) <= {1}
    here = {(test_id, to) for test_id, to in promised if to in LOCAL and test_id not in in_trash}
    assert not here - local.keys(), "some local mail is in no mailbox"
