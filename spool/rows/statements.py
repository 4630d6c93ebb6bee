"""How statements reach SQLite and PostgreSQL past the models: transactions, parameters, times.

All of it is for the calling thread's connection. Statements are written with `%s`; SQLite gets `?`. PostgreSQL rows go
in by COPY. Times are aware datetimes on both sides.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, Final, overload

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.signals import connection_created

from spool.rows.columns import Moment, Row

# SQLite, for a process that writes much: cache in KiB, so that no page is written before its transaction ends; the
# journal is neither synced nor copied in a commit.
_WRITING_MUCH = {"cache_size": -128_000, "synchronous": 1, "wal_autocheckpoint": 0}


@cache
def on_sqlite() -> bool:
    """Which of the two it is; asked a dozen times for each message."""
    return connection.vendor == "sqlite"


@overload
def db_time(moment: datetime) -> Moment: ...
@overload
def db_time(moment: None) -> None: ...
@overload
def db_time(moment: datetime | None) -> Moment | None: ...
def db_time(moment: datetime | None) -> Moment | None:
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
def few_trips() -> Iterator[None]:
    """On PostgreSQL, statements of which nobody reads the result are sent together with the next that somebody reads,
    or at the end (pipeline mode): a trip to the server and back takes longer than a small statement.

    An error of theirs is raised then. For few rows, as there is no COPY in it; inside a transaction, which can be
    rolled back when it has ended.
    """
    if on_sqlite():
        yield
        return
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline():
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
def holders_transaction() -> Iterator[None]:
    """One transaction that says who holds what.

    A power cut that takes it on SQLite has ended all who could hold anything, so it is not waited for there: meanwhile
    nobody else could write. A PostgreSQL that dies is outlived by them.
    """
    with relaxed_transaction() if on_sqlite() else write_transaction():
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


# Of a session that keeps statements: each is parsed once, but planned each time, by the sizes that tables have then. A
# plan that was made for a nearly empty table would be the ruin of one that has a million rows a minute later.
_PLANNED_ANEW: Final = "SET plan_cache_mode TO force_custom_plan"


def keep_statements() -> None:
    """On PostgreSQL, have this process's statements that say so (`kept`) prepared: parsed once, not each time.

    For the committer and mail workers, who say them for ever.
    """
    connection_created.connect(_keep_statements_of)
    if connection.connection is not None:
        _keep_statements_of(connection)


def _keep_statements_of(connection: Any, **_: object) -> None:
    if connection.vendor != "sqlite":
        # psycopg's own default, which Django turns off. `execute` does not leave it to a count.
        connection.connection.prepare_threshold = 5
        with connection.cursor() as here:
            here.execute(_PLANNED_ANEW)


def cursor() -> Any:
    """A bare driver cursor: without Django's per-statement wrapping."""
    connection.ensure_connection()
    if on_sqlite():
        return connection.connection.cursor()
    from psycopg import Cursor

    return Cursor(connection.connection)


def execute(statement: str, parameters: Sequence[Any], *, binary: bool = False, kept: bool = False) -> Any:
    """Run one statement; returns the cursor. Database errors come out as Django's (`django.db.Error`).

    `binary`: what comes back is mostly bytes, which PostgreSQL otherwise spells. `kept`: mail needs it again and again
    (see `keep_statements`).
    """
    with connection.wrap_database_errors:
        here = cursor()
        if on_sqlite():
            here.execute(_question_marks(statement), parameters)
        else:
            here.execute(statement, parameters, prepare=kept, binary=binary)
        return here


# Lists of values make a statement for each of their lengths.
@lru_cache(256)
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
        if in_few_trips():
            rows = list(rows)
            values = [value for row in rows for value in row]
            execute(f"INSERT INTO {table} ({names}) VALUES {_marks(len(columns), len(rows))}", values, kept=True)
            return
        with here.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


@cache
def _marks(columns: int, rows: int) -> str:
    """Of few rows: see `few_trips`."""
    return ", ".join([f"({', '.join(['%s'] * columns)})"] * rows)


def in_few_trips() -> bool:
    """Whether `few_trips` is about this."""
    return not on_sqlite() and bool(connection.connection.pgconn.pipeline_status)


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


def execute_many(statement: str, rows: Sequence[Row]) -> None:
    """Run one statement for each of `rows`; on PostgreSQL in one round trip (pipeline mode)."""
    with connection.wrap_database_errors:
        here = cursor()
        here.executemany(_question_marks(statement) if on_sqlite() else statement, rows)
