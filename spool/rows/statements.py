"""The batch statements of the hot path, for SQLite and PostgreSQL: one statement for many rows, no model instances.

Everything here runs inside `write_transaction()`, on the calling thread's connection. Statements are written with
`%s`; SQLite gets `?`. PostgreSQL rows go in by COPY. Times are aware datetimes on both sides.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection, transaction

Row = tuple[Any, ...]

# SQLite, for a process that writes much: cache in KiB, so that no page is written before its transaction ends; the
# journal is neither synced nor copied in a commit.
_WRITING_MUCH = {"cache_size": -128_000, "synchronous": 1, "wal_autocheckpoint": 0}

ENTRY_COLUMNS = (
    "id", "file_name", "subspool", "sender", "sender_domain", "sender_key", "auth_user", "client_ip", "ehlo_name",
    "tls", "port", "direction", "origin", "subject", "message_id", "size_bytes", "priority", "status", "attempts",
    "dns_failures", "recipients_total", "recipients_done", "created", "next_attempt", "due_at", "leased_by", "hold",
    "hold_reason", "last_error", "error_group", "next_hop", "failures", "traceback", "envid", "ret", "smtputf8",
    "eight_bit", "delay_notified", "ours",
)  # fmt: skip
RECIPIENT_COLUMNS = (
    "entry_id", "address", "domain", "kind", "status", "original", "notify", "orcpt", "last_reply", "last_host",
    "address_key", "original_key",
)  # fmt: skip
ATTEMPT_COLUMNS = ("file_name", "at", "recipients", "host", "ip", "tls", "code", "reply", "seconds")
TRACE_COLUMNS = (
    "file_name", "sender", "recipient", "kind", "outcome", "reply", "host", "auth_user", "client_ip", "ehlo_name",
    "tls", "port", "subject", "message_id", "size_bytes", "attempts", "created", "ended", "sender_key",
    "recipient_key", "original",
)  # fmt: skip
LEASE_COLUMNS = (
    "id", "file_name", "subspool", "sender", "auth_user", "client_ip", "ehlo_name", "tls", "port",
    "direction", "origin", "subject", "message_id", "size_bytes", "priority", "status", "attempts", "dns_failures",
    "recipients_total", "recipients_done", "created", "failures", "envid", "ret", "smtputf8", "eight_bit",
    "delay_notified", "next_hop", "ours",
)  # fmt: skip


def on_sqlite() -> bool:
    return connection.vendor == "sqlite"


def db_time(moment: datetime | None) -> datetime | str | None:
    """A moment as the database stores it: Django keeps text in UTC on SQLite."""
    if moment is None or not on_sqlite():
        return moment
    # isoformat() leaves out zero microseconds; texts of unequal length would sort wrongly.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def from_db_time(value: datetime | str) -> datetime:
    """The reverse of db_time."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@contextmanager
def write_transaction() -> Iterator[None]:
    """One transaction that writes.

    SQLite has one writer at a time, and its own waiting is by sleeping and trying again; so our processes queue at a
    lock file instead, which wakes the next one at once. Other writers (the console) still go by SQLite's waiting.
    """
    if not on_sqlite():
        with transaction.atomic():
            yield
        return
    with _turn(), transaction.atomic():
        yield


@contextmanager
def many_transactions() -> Iterator[Callable[[], None]]:
    """For whoever writes much, a transaction at a time, while mail flows: call what is yielded after each transaction.

    On SQLite all wait for the one who writes. What need not be done meanwhile is done by what is yielded, which has the
    journal on the disk and copies it into the database; otherwise whoever commits next would. Until then a power cut
    may take back whole transactions, the last ones first: it must be possible to do them again.
    """
    if not on_sqlite():
        yield lambda: None
        return
    usual = {name: execute(f"PRAGMA {name}", ()).fetchone()[0] for name in _WRITING_MUCH}
    for name, value in _WRITING_MUCH.items():
        execute(f"PRAGMA {name} = {value}", ())
    try:
        yield _checkpoint
    finally:
        for name, value in usual.items():
            execute(f"PRAGMA {name} = {value}", ())


def _checkpoint() -> None:
    # Most of it beside what others write …
    execute("PRAGMA wal_checkpoint(PASSIVE)", ()).fetchall()
    # … and the rest alone: the journal begins anew only when nothing in it is needed any more.
    with _turn():
        execute("PRAGMA wal_checkpoint(PASSIVE)", ()).fetchall()


@contextmanager
def relaxed_transaction() -> Iterator[None]:
    """One transaction that need not reach the disk: for what a power cut may take, never for mail."""
    if on_sqlite():
        execute("PRAGMA synchronous = NORMAL", ())
        try:
            with write_transaction():
                yield
        finally:
            execute("PRAGMA synchronous = FULL", ())
        return
    with write_transaction():
        execute("SET LOCAL synchronous_commit TO off", ())
        yield


@contextmanager
def _turn() -> Iterator[None]:
    lock = os.open(_turnstile(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _turnstile() -> str:
    return os.fspath(settings.HOME.root / "writers.lock")


def says_full(error: BaseException) -> bool:
    """Whether the database failed for want of disk space."""
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
    # Not at the top: on SQLite it would be a tenth of every process's start.
    from psycopg.errors import DiskFull

    return isinstance(cause, DiskFull)


def cursor() -> Any:
    """A bare driver cursor: without Django's per-statement wrapping, and prepared on the server on PostgreSQL."""
    connection.ensure_connection()
    if on_sqlite():
        return connection.connection.cursor()
    from psycopg import Cursor

    return Cursor(connection.connection)


def execute(statement: str, parameters: Sequence[Any]) -> Any:
    """Run one statement; returns the cursor. Database errors come out as Django's (`django.db.Error`)."""
    with connection.wrap_database_errors:
        here = cursor()
        if on_sqlite():
            here.execute(_question_marks(statement), parameters)
        else:
            here.execute(statement, parameters, prepare=True)
        return here


@cache
def _question_marks(statement: str) -> str:
    return statement.replace("%s", "?")


def insert(table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Insert `rows`, in one statement."""
    with connection.wrap_database_errors:
        here = cursor()
        names = ", ".join(columns)
        if on_sqlite():
            marks = ", ".join("?" * len(columns))
            here.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)
            return
        with here.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def next_entry_ids(count: int) -> tuple[Sequence[int], int]:
    """`count` fresh entry ids, and the number of the transaction; 0 on SQLite, which has none.

    Call it inside the transaction that inserts them.
    """
    if on_sqlite():
        # This transaction is the only writer, so nobody else can take the same numbers.
        row = execute("SELECT seq FROM sqlite_sequence WHERE name = 'spool_entry'", ()).fetchone()
        first = (row[0] if row else 0) + 1
        return range(first, first + count), 0
    here = execute("SELECT nextval('spool_entry_id_seq'), txid_current() FROM generate_series(1, %s)", (count,))
    rows = here.fetchall()
    return [row[0] for row in rows], rows[0][1]


# An entry that nobody works on any more is not being delivered: it waits, or has not been tried yet.
AT_REST = (
    "CASE WHEN status IN ('local', 'remote') THEN CASE WHEN attempts > 0 THEN 'waiting' ELSE 'delay' END"
    " ELSE status END"
)

# Longer lists of ids are one parameter, for texts of statements are kept.
_LISTED = 500


def id_list(ids: Sequence[int]) -> tuple[str, Sequence[Any]]:
    """The right side of `id …` for many ids, and its parameters: on PostgreSQL one statement text for any number, on
    SQLite where they are many."""
    if on_sqlite():
        if len(ids) > _LISTED:
            return "IN (SELECT value FROM json_each(%s))", [json.dumps(list(ids))]
        return f"IN ({', '.join('%s' for _ in ids)})", list(ids)
    return "= ANY(%s)", [list(ids)]


def prefer_indexes() -> None:
    """Have rows found by index until the transaction ends; call it in one.

    PostgreSQL knows nothing yet of a table that was filled a moment ago, takes a list of ids for most of it, and reads
    all of it for every list.
    """
    if not on_sqlite():
        execute("SET LOCAL enable_seqscan TO off", ())


# One look at the index of leases for each priority: due_at needs no index of its own.
_EARLIEST_DUE = " UNION ALL ".join(
    f"SELECT MIN(due_at) FROM spool_entry WHERE priority = {priority} AND due_at IS NOT NULL" for priority in (3, 2, 1)
)
_EARLIEST_DUE_BUT_LOW = _EARLIEST_DUE.rpartition(" UNION ALL ")[0]
_BY_PRIORITY = """
    SELECT id FROM (SELECT id FROM spool_entry{index} WHERE priority = {priority}{only} AND due_at <= %s
                    AND (leased_by = '' OR %s) ORDER BY due_at LIMIT %s{lock}) AS of_{priority}"""


def _pick(*, lock: str = "", index: str = "", only: str = "") -> str:
    return " UNION ALL ".join(_BY_PRIORITY.format(priority=p, lock=lock, index=index, only=only) for p in (3, 2, 1))


_SET_LEASE = """
    leased_by = %s, due_at = %s,
    status = CASE WHEN status = 'delay' OR (%s AND (status <> 'waiting' OR %s))
             THEN CASE direction WHEN 1 THEN 'local' ELSE 'remote' END ELSE status END"""
_LEASE_SQLITE = (
    f"UPDATE spool_entry SET {_SET_LEASE} WHERE id IN (SELECT id FROM ({{pick}} LIMIT %s))"
    f" RETURNING {', '.join(LEASE_COLUMNS)}"
)
_LEASE_POSTGRESQL = (
    "WITH picked AS MATERIALIZED (SELECT id FROM ({pick}) AS due LIMIT %s)"
    f" UPDATE spool_entry SET {_SET_LEASE} FROM picked WHERE spool_entry.id = picked.id"
    f" RETURNING {', '.join('spool_entry.' + name for name in LEASE_COLUMNS)}"
)
# By whether only mail for this server is wanted, which has an index of its own.
_ONLY_LOCAL = " AND direction = 1"
_LEASES_SQLITE = {
    False: _LEASE_SQLITE.format(pick=_pick()),
    # SQLite does not know how little of the other index is local.
    True: _LEASE_SQLITE.format(pick=_pick(index=" INDEXED BY entry_lease_local", only=_ONLY_LOCAL)),
}
_SKIP = " FOR UPDATE SKIP LOCKED"
_LEASES_POSTGRESQL = {
    False: _LEASE_POSTGRESQL.format(pick=_pick(lock=_SKIP)),
    True: _LEASE_POSTGRESQL.format(pick=_pick(lock=_SKIP, only=_ONLY_LOCAL)),
}


def lease(
    owner: str, now: datetime, until: datetime, limit: int, *, straight: bool, no_delay: bool, lapsed: bool,
    low: int, reserved: int = 0, only_local: bool = False,
) -> list[Row]:  # fmt: skip
    """Take up to `limit` due entries, high priority first, then by age: one statement (the one-holder invariant).

    New mail counts as on its way out from here on: most stages are over before anybody could see them. `straight` says
    that no stage but the delay stands before delivery, so that this is true of all; `no_delay` that a retry need not
    be delayed either; without `lapsed` nothing is taken that somebody has held. Up to `low` of them may have low
    priority, for which normal priority leaves `reserved`. Rows have LEASE_COLUMNS.
    """
    moment = db_time(now)
    picks = [moment, lapsed, limit, moment, lapsed, limit - reserved, moment, lapsed, min(low, limit)]
    lease_values = [owner, db_time(until), straight, no_delay]
    if on_sqlite():
        return list(execute(_LEASES_SQLITE[only_local], [*lease_values, *picks, limit]).fetchall())
    return list(execute(_LEASES_POSTGRESQL[only_local], [*picks, limit, *lease_values]).fetchall())


def open_recipients(entry_ids: Sequence[int], table: str = "spool_recipient") -> list[Row]:
    """(entry, id, address, domain, kind, original, notify, orcpt) of the recipients that have no outcome yet."""
    clause, parameters = id_list(entry_ids)
    return list(
        execute(
            "SELECT entry_id, id, address, domain, kind, original, notify, orcpt"
            f" FROM {table} WHERE entry_id {clause} AND status = 'pending' ORDER BY id",
            parameters,
        ).fetchall()
    )


def earliest_due(*, low: bool = True) -> datetime | None:
    """When the next entry is due, or its lease lapses; None when the spool has none. Without `low`, of the others."""
    rows = execute(_EARLIEST_DUE if low else _EARLIEST_DUE_BUT_LOW, ()).fetchall()
    found = [row[0] for row in rows if row[0] is not None]
    return from_db_time(min(found)) if found else None


def renew(owner: str, entry_ids: Sequence[int], until: datetime) -> set[int]:
    """Keep leases that this worker still holds; the ids of those entries."""
    clause, parameters = id_list(entry_ids)
    renewed = execute(
        f"UPDATE spool_entry SET due_at = %s WHERE id {clause} AND leased_by = %s AND due_at IS NOT NULL RETURNING id",
        [db_time(until), *parameters, owner],
    ).fetchall()
    return {entry_id for (entry_id,) in renewed}


def remove_entries(owner: str, entry_ids: Sequence[int]) -> dict[int, int]:
    """Delete finished entries that `owner` still holds; returns those, each with its count of delivered recipients."""
    clause, parameters = id_list(entry_ids)
    removed = execute(
        f"DELETE FROM spool_entry WHERE id {clause} AND leased_by = %s RETURNING id, recipients_done",
        [*parameters, owner],
    ).fetchall()
    return dict(removed)


def settled_recipients(entry_ids: Sequence[int]) -> set[int]:
    """The recipients of these entries that have an outcome."""
    clause, parameters = id_list(entry_ids)
    found = execute(f"SELECT id FROM spool_recipient WHERE entry_id {clause} AND status <> 'pending'", parameters)
    return {row[0] for row in found.fetchall()}


def remove_recipients(entry_ids: Sequence[int]) -> None:
    """Delete all recipients of entries that were removed."""
    clause, parameters = id_list(entry_ids)
    execute(f"DELETE FROM spool_recipient WHERE entry_id {clause}", parameters)


def execute_many(statement: str, rows: Sequence[Row]) -> None:
    """Run one statement for each of `rows`; on PostgreSQL in one round trip (pipeline mode)."""
    with connection.wrap_database_errors:
        here = cursor()
        here.executemany(_question_marks(statement) if on_sqlite() else statement, rows)
