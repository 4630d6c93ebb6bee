"""The tables of traffic counts: how batches leave their table, and how buckets, totals and series grow and shrink.

Everything here runs in the transaction of the one process that adds up (spool.traffic.rollup).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from spool.models.traffic import COUNTED
from spool.rows import statements

# The key of the advisory lock on PostgreSQL; on SQLite whoever writes is alone.
_LOCK: Final = 7_402_113


class Bucket(NamedTuple):
    """How many of a key there were in the minute, or the hour, that begins with `minute`."""

    kind: int
    key: str
    minute: int
    number: int


def is_ours() -> bool:
    """Whether no other process is adding up; then none begins before the transaction ends."""
    return statements.on_sqlite() or bool(
        statements.execute("SELECT pg_try_advisory_xact_lock(%s)", (_LOCK,)).fetchone()[0]
    )


def take_batches(most: int) -> list[str]:
    """The payloads of the oldest batches, which go."""
    rows = statements.execute(
        "DELETE FROM spool_trafficbatch WHERE id IN (SELECT id FROM spool_trafficbatch ORDER BY id LIMIT %s)"
        " RETURNING payload",
        (most,),
    ).fetchall()
    return [row[0] for row in rows]


def add(minutes: Sequence[Bucket]) -> None:
    """Add to buckets of a minute, and to the totals of their keys."""
    _many(
        "INSERT INTO spool_trafficcount AS t (kind, key, minute, span, number) {values}"
        " ON CONFLICT (kind, key, minute, span) DO UPDATE SET number = t.number + excluded.number",
        ("smallint", "text", "integer", "smallint", "integer"),
        [(one.kind, one.key, one.minute, 1, one.number) for one in minutes],
    )
    totals: Counter[tuple[int, str]] = Counter()
    seen: dict[tuple[int, str], int] = {}
    for kind, key, minute, number in minutes:
        totals[kind, key] += number
        seen[kind, key] = max(minute, seen.get((kind, key), 0))
    _many(
        "INSERT INTO spool_traffictotal AS t (kind, key, day, total, seen) {values} ON CONFLICT (kind, key) DO UPDATE"
        " SET day = t.day + excluded.day, total = t.total + excluded.total, seen = {greatest}(t.seen, excluded.seen)",
        ("smallint", "text", "integer", "bigint", "integer"),
        [(kind, key, number, number, seen[kind, key]) for (kind, key), number in totals.items()],
    )


def grow(span: int, series: Mapping[int, Mapping[str, int]]) -> None:
    """Add to the columns of the series, by the minute that a span begins with."""
    names = ", ".join(COUNTED)
    sums = ", ".join(f"{name} = t.{name} + excluded.{name}" for name in COUNTED)
    _many(
        f"INSERT INTO spool_trafficseries AS t (span, minute, depth, {names}) {{values}}"
        f" ON CONFLICT (span, minute) DO UPDATE SET {sums}",
        ("smallint", "integer", "jsonb", *["integer"] * len(COUNTED)),
        [(span, minute, "{}", *(delta.get(name, 0) for name in COUNTED)) for minute, delta in sorted(series.items())],
    )


def make_hour_of_oldest_minute(before: int) -> bool:
    """Add the buckets of the oldest minute before `before` to those of its hour; False when there is none."""
    oldest = statements.execute(
        "SELECT MIN(minute) FROM spool_trafficcount WHERE span = 1 AND minute < %s", (before,)
    ).fetchone()
    if oldest[0] is None:
        return False
    statements.execute(
        "INSERT INTO spool_trafficcount AS t (kind, key, minute, span, number) SELECT kind, key, minute / 60 * 60,"
        " 60, number FROM spool_trafficcount WHERE span = 1 AND minute = %s"
        " ON CONFLICT (kind, key, minute, span) DO UPDATE SET number = t.number + excluded.number",
        oldest,
    )
    statements.execute("DELETE FROM spool_trafficcount WHERE span = 1 AND minute = %s", oldest)
    return True


def expire_hours(until: int, most: int) -> bool:
    """Let some hours go that begin at `until` or earlier, and take them off the day of their keys; False when none is
    left."""
    rows = statements.execute(
        "DELETE FROM spool_trafficcount WHERE (kind, key, minute, span) IN (SELECT kind, key, minute, span"
        " FROM spool_trafficcount WHERE span = 60 AND minute <= %s LIMIT %s) RETURNING kind, key, number",
        (until, most),
    ).fetchall()
    gone: Counter[tuple[int, str]] = Counter()
    for kind, key, number in rows:
        gone[kind, key] += number
    changes = [(number, kind, key) for (kind, key), number in sorted(gone.items())]
    if statements.on_sqlite():
        statements.execute_many("UPDATE spool_traffictotal SET day = day - %s WHERE kind = %s AND key = %s", changes)
    elif changes:
        statements.execute(
            "UPDATE spool_traffictotal AS t SET day = t.day - g.number FROM unnest(%s::integer[], %s::smallint[],"
            " %s::text[]) AS g (number, kind, key) WHERE t.kind = g.kind AND t.key = g.key",
            [list(column) for column in zip(*changes, strict=True)],
        )
    return bool(rows)


def _many(statement: str, types: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """One statement for many rows."""
    rows = list(rows)
    if not rows:
        return
    if statements.on_sqlite():
        marks = ", ".join("%s" for _ in types)
        statements.execute_many(statement.format(values=f"VALUES ({marks})", greatest="MAX"), rows)
        return
    arrays = ", ".join(f"%s::{name}[]" for name in types)
    columns = [list(column) for column in zip(*rows, strict=True)]
    statements.execute(statement.format(values=f"SELECT * FROM unnest({arrays})", greatest="GREATEST"), columns)
