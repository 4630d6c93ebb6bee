"""Whoever runs an older release comes to this one with mail, settings and history, on both databases."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dns import DNSServer
from tests.support.mailspool_process import PROJECT, MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink
from tests.support.waiting import NeverHappened, wait_until
from tests.upgrades.dumped import DUMPS, Dumped
from tests.upgrades.schemas import Schema, of_postgresql, of_sqlite

# Columns whose old values a migration is meant to change, by dump: `table.column`, and why.
# As every_state has them.
FAR, GOES = "far.test", "delivered"
CHANGED: dict[str, dict[str, str]] = {
    "7afd7b3": {"spool_auditevent.outcome": "how an account was contained: the history of accounts knew more of it"}
}
# The empty tables of a library that is gone. The version before is not ready without them: a release later drops them.
LEFT_BEHIND = {"axes_accessattempt", "axes_accessattemptexpiration", "axes_accessfailurelog", "axes_accesslog"}

# And the bell, which the scheduler would ring.
DUE_NOW = """
from django.utils import timezone
from spool.flow import doorbell
from spool.models import Entry
Entry.objects.filter(hold=False).update(due_at=timezone.now())
doorbell.ring()
"""


@pytest.fixture(scope="module")
def dns() -> Iterator[DNSServer]:
    with DNSServer() as server:
        server.add(FAR, "MX", f"10 mx.{FAR}.")
        server.add(f"mx.{FAR}", "A", "127.0.0.1")
        yield server


@pytest.fixture(params=sorted(path.name for path in DUMPS.iterdir()))
def dumped(
    request: pytest.FixtureRequest, tmp_path: Path, durable_postgres: PostgresServer | None, dns: DNSServer
) -> Iterator[Dumped]:
    found = Dumped(request.param, tmp_path / "upgraded", durable_postgres, dns.address)
    yield found
    found.remove()


@pytest.fixture
def fresh(tmp_path: Path, durable_postgres: PostgresServer | None) -> Iterator[Schema]:
    """The tables of a new installation."""
    url = durable_postgres.create_database("fresh") if durable_postgres else ""
    mailspool = MailspoolUnderTest(tmp_path / "fresh", database_url=url)
    mailspool.prepare()
    mailspool.kill()
    if durable_postgres is None:
        yield of_sqlite(mailspool.home / "mailspool.sqlite3")
        return
    yield of_postgresql(url.replace("postgres://", "postgresql://", 1))
    durable_postgres.drop_database("fresh")


def test_an_older_installation_is_upgraded(
    dumped: Dumped, fresh: Schema, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Schema, rows, files and the mail that was due: one test, since each dump is a whole installation."""
    mailspool = dumped.mailspool
    mailspool.redis.start()
    old = dumped.columns()
    before, files = dumped.rows(old), _files(mailspool)
    assert all(before[table] for table in before if _is_ours(table)), "the dump has no empty table"

    prepared = subprocess.run(
        [sys.executable, "-m", "mailspool.prepare"],
        cwd=PROJECT,
        env=mailspool.env,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert prepared.returncode == 0, prepared.stderr
    _assert_alike(dumped.schema(), fresh)
    _assert_kept(before, dumped, old, request.node.callspec.params["dumped"])
    assert _files(mailspool) == files
    rule = mailspool.manage("settings", "get", "send_as").stdout.strip()
    assert rule == "envelope", "whoever sent before goes on as before"
    findings = json.loads(mailspool.manage("spool", "doctor", "--json", check=False).stdout)
    # Of the worker that was killed.
    assert {finding["Kind"] for finding in findings} == {"lapsed lease"}
    _assert_delivered(dumped, tmp_path)


def _assert_alike(upgraded: Schema, fresh: Schema) -> None:
    assert set(upgraded) - LEFT_BEHIND == set(fresh)
    for table, parts in fresh.items():
        assert upgraded[table] == parts, table


def _assert_kept(
    before: dict[str, Counter[tuple[str, ...]]], dumped: Dumped, old: dict[str, list[str]], name: str
) -> None:
    """Every row is there as it was, in the columns that there still are."""
    changed = CHANGED.get(name, {})
    now = dumped.columns()
    kept = {
        table: [column for column in columns if column in now[table] and f"{table}.{column}" not in changed]
        for table, columns in old.items()
        if table in now
    }
    after = dumped.rows(kept)
    for table, columns in kept.items():
        places = [old[table].index(column) for column in columns]
        rows = Counter(tuple(row[place] for place in places) for row in before[table].elements())
        assert not rows - after[table], table


def _assert_delivered(dumped: Dumped, folder: Path) -> None:
    """Workers deliver what is due and leave alone what is not."""
    mailspool = dumped.mailspool
    sink = CountingSink(folder)
    sink.start()
    try:
        mailspool.settings(smtp_out_port=sink.port)
        mailspool.run(DUE_NOW)
        [worker] = mailspool.workers
        worker.start()
        wanted = Counter(
            (state.replace(" ", "-"), to)
            for state, message in dumped.mail.items()
            if message["fate"] == GOES
            for to in message["to"]
            if to.endswith(FAR)
        )
        held = mailspool.rows("SELECT count(*) FROM spool_entry WHERE hold")[0][0]
        try:
            wait_until(lambda: mailspool.count("spool_entry") == held, "all is delivered", 60)
        except NeverHappened as error:
            left = mailspool.rows("SELECT subject, status, due_at, leased_by, last_error FROM spool_entry")
            raise AssertionError(f"{left}\n{mailspool.log_tails()}") from error
        worker.stop()
        assert sink.deliveries() == wanted
        # The notice of what had bounced, and the local message.
        assert len(mailspool.maildir("ann@here.test")) == 2
        assert mailspool.errors_logged() == []
    finally:
        sink.stop()


def _files(mailspool: MailspoolUnderTest) -> dict[str, bytes]:
    folders = [mailspool.home / name for name in ("spool", "quarantine", "moved")]
    return {
        str(path.relative_to(mailspool.home)): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*.eml"))
    }


def _is_ours(table: str) -> bool:
    return table.partition("_")[0] in ("accounts", "spool", "quarantine", "security", "throttling")
