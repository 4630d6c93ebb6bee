"""Adding up, by one process at a time: rows of TrafficBatch go, buckets, totals and series grow, in one transaction.

A process that dies in the middle has done nothing; the next one does it. `TrafficTotal.day` is at any moment the sum of
the buckets that there are: a bucket that goes is taken off it in the same statement.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import Error as DatabaseError
from django.db import close_old_connections, connection
from django.db.models import Count
from django.utils import timezone

from spool.models.entry import Entry
from spool.models.traffic import COUNTED, WHOLE, TrafficSeries, TrafficState, TrafficTotal
from spool.rows import statements
from spool.traffic.sums import Sums, add_up

log = logging.getLogger(__name__)

ROLL_SECONDS: Final = 2.0
# Batches in one transaction.
CHUNK: Final = 250
HOUR: Final = 60
DAY: Final = 1440
# How long minutes and hours of the series are kept, and totals of keys that are not seen any more, in minutes.
SERIES_MINUTES: Final = 2 * DAY
SERIES_HOURS: Final = 3 * 365 * DAY
TOTALS: Final = 400 * DAY
# Buckets that expire in one transaction.
EXPIRED: Final = 2_000
_IDLE: Final = timedelta(seconds=10)
# The key of the advisory lock on PostgreSQL; on SQLite whoever writes is alone.
_LOCK: Final = 7_402_113


def run(stop: threading.Event) -> None:
    """Add up every ROLL_SECONDS until `stop`: a thread of the scheduler."""
    while not stop.wait(ROLL_SECONDS):
        try:
            close_old_connections()
            roll_up()
        except DatabaseError as error:
            log.error("traffic could not be added up, trying again: %s", error)
            connection.close()
        except Exception:  # the edge of the thread: it must not end before its process
            log.exception("traffic could not be added up", extra={"seldom": True})
            connection.close()
    connection.close()


def roll_up() -> bool:
    """Add up everything that is there; False when another process is at it. Raises django.db.Error."""
    while True:
        now = timezone.now()
        with statements.write_transaction():
            if not _is_ours():
                return False
            taken = _take()
            if taken:
                _store(add_up(taken))
            state = _state(now)
            if taken or now - state.rolled > _IDLE:
                state.rolled = now
                state.save(update_fields=["rolled"])
        if len(taken) < CHUNK:
            break
    minute = minute_of(now)
    if state.tidied != minute:
        _sample(minute)
        tidy(minute)
        TrafficState.objects.filter(pk=state.pk).update(tidied=minute)
    return True


def minute_of(moment: datetime) -> int:
    """Minutes since 1970."""
    return int(moment.timestamp()) // 60


def _is_ours() -> bool:
    if statements.on_sqlite():
        return True
    return bool(statements.execute("SELECT pg_try_advisory_xact_lock(%s)", (_LOCK,)).fetchone()[0])


def _state(now: datetime) -> TrafficState:
    state, _ = TrafficState.objects.get_or_create(pk=1, defaults={"since": now, "rolled": now})
    return state


def _take() -> list[str]:
    rows = statements.execute(
        "DELETE FROM spool_trafficbatch WHERE id IN (SELECT id FROM spool_trafficbatch ORDER BY id LIMIT %s)"
        " RETURNING payload",
        (CHUNK,),
    ).fetchall()
    return [row[0] for row in rows]


def _store(sums: Sums) -> None:
    counts = [(kind, key, minute, 1, number) for (kind, key, minute), number in sorted(sums.counts.items())]
    _upsert_counts(counts)
    totals: Counter[tuple[int, str]] = Counter()
    seen: dict[tuple[int, str], int] = {}
    for kind, key, minute, _, number in counts:
        totals[kind, key] += number
        seen[kind, key] = max(minute, seen.get((kind, key), 0))
    rows = [(kind, key, number, number, seen[kind, key]) for (kind, key), number in totals.items()]
    _many(
        "INSERT INTO spool_traffictotal AS t (kind, key, day, total, seen) {values} ON CONFLICT (kind, key) DO UPDATE"
        " SET day = t.day + excluded.day, total = t.total + excluded.total, seen = {greatest}(t.seen, excluded.seen)",
        ("smallint", "text", "integer", "bigint", "integer"),
        rows,
    )
    _grow(1, sums.series)


def _upsert_counts(rows: list[tuple[Any, ...]]) -> None:
    _many(
        "INSERT INTO spool_trafficcount AS t (kind, key, minute, span, number) {values}"
        " ON CONFLICT (kind, key, minute, span) DO UPDATE SET number = t.number + excluded.number",
        ("smallint", "text", "integer", "smallint", "integer"),
        rows,
    )


def _many(statement: str, types: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """One statement for many rows."""
    if not rows:
        return
    if statements.on_sqlite():
        marks = ", ".join("%s" for _ in types)
        statements.execute_many(statement.format(values=f"VALUES ({marks})", greatest="MAX"), rows)
        return
    arrays = ", ".join(f"%s::{name}[]" for name in types)
    columns = [list(column) for column in zip(*rows, strict=True)]
    source = f"SELECT * FROM unnest({arrays})"  # noqa: S608
    statements.execute(statement.format(values=source, greatest="GREATEST"), columns)


def _grow(span: int, series: Mapping[int, Mapping[str, int]]) -> None:
    """Add to the columns of the series, by the minute that a span begins with."""
    names = ", ".join(COUNTED)
    sums = ", ".join(f"{name} = t.{name} + excluded.{name}" for name in COUNTED)
    rows = [(span, minute, "{}", *(delta.get(name, 0) for name in COUNTED)) for minute, delta in sorted(series.items())]
    _many(
        f"INSERT INTO spool_trafficseries AS t (span, minute, depth, {names}) {{values}}"
        f" ON CONFLICT (span, minute) DO UPDATE SET {sums}",
        ("smallint", "integer", "jsonb", *["integer"] * len(COUNTED)),
        rows,
    )


def _sample(minute: int) -> None:
    """Write down how full the spool is."""
    counted = dict(Entry.objects.order_by().values_list("status").annotate(number=Count("id")))
    with statements.write_transaction():
        row, _ = TrafficSeries.objects.get_or_create(span=1, minute=minute)
        row.depth = counted
        row.save(update_fields=["depth"])


def tidy(minute: int) -> None:
    """Make hours of minutes that no window needs any more, and let go of what is too old; in small transactions."""
    while _compact_counts(window_start(minute, HOUR)):
        pass
    while _expire_counts(window_start(minute, DAY) - HOUR):
        pass
    with statements.write_transaction():
        if _is_ours():
            _compact_series((minute - SERIES_MINUTES) // HOUR * HOUR)
    if minute % DAY == 0:
        TrafficSeries.objects.filter(span=HOUR, minute__lt=minute - SERIES_HOURS).delete()
        TrafficTotal.objects.exclude(key=WHOLE).filter(day=0, seen__lt=minute - TOTALS).delete()


def window_start(minute: int, minutes: int) -> int:
    """The first bucket of a window of so many minutes that ends in `minute`: all that reach into it are in."""
    return minute - minutes


def _compact_counts(before: int) -> bool:
    """Add the oldest minute of those before `before` to the buckets of its hour; False when there is none."""
    with statements.write_transaction():
        if not _is_ours():
            return False
        oldest = statements.execute(
            "SELECT MIN(minute) FROM spool_trafficcount WHERE span = 1 AND minute < %s", (before,)
        ).fetchone()[0]
        if oldest is None:
            return False
        statements.execute(
            "INSERT INTO spool_trafficcount AS t (kind, key, minute, span, number) SELECT kind, key, minute / 60 * 60,"
            " 60, number FROM spool_trafficcount WHERE span = 1 AND minute = %s"
            " ON CONFLICT (kind, key, minute, span) DO UPDATE SET number = t.number + excluded.number",
            (oldest,),
        )
        statements.execute("DELETE FROM spool_trafficcount WHERE span = 1 AND minute = %s", (oldest,))
    return True


def _expire_counts(until: int) -> bool:
    """Let some hours go that begin at `until` or earlier: they have left the last 24 hours. False when none is left."""
    with statements.write_transaction():
        if not _is_ours():
            return False
        rows = statements.execute(
            "DELETE FROM spool_trafficcount WHERE (kind, key, minute, span) IN (SELECT kind, key, minute, span"
            " FROM spool_trafficcount WHERE span = 60 AND minute <= %s LIMIT %s) RETURNING kind, key, number",
            (until, EXPIRED),
        ).fetchall()
        gone: Counter[tuple[int, str]] = Counter()
        for kind, key, number in rows:
            gone[kind, key] += number
        changes = [(number, kind, key) for (kind, key), number in sorted(gone.items())]
        if statements.on_sqlite():
            statements.execute_many(
                "UPDATE spool_traffictotal SET day = day - %s WHERE kind = %s AND key = %s", changes
            )
        elif changes:
            statements.execute(
                "UPDATE spool_traffictotal AS t SET day = t.day - g.number FROM unnest(%s::integer[], %s::smallint[],"
                " %s::text[]) AS g (number, kind, key) WHERE t.kind = g.kind AND t.key = g.key",
                [list(column) for column in zip(*changes, strict=True)],
            )
    return bool(rows)


def _compact_series(before: int) -> None:
    """Make hours of the minutes before `before`, a whole hour. Of the depth the last look of each hour stays."""
    hours: dict[int, Counter[str]] = {}
    depths: dict[int, dict[str, int]] = {}
    for row in TrafficSeries.objects.filter(span=1, minute__lt=before).order_by("minute"):
        hour = row.minute // HOUR * HOUR
        hours.setdefault(hour, Counter()).update({name: getattr(row, name) for name in COUNTED})
        depths[hour] = row.depth or depths.get(hour, {})
    _grow(HOUR, hours)
    for hour, depth in depths.items():
        TrafficSeries.objects.filter(span=HOUR, minute=hour).update(depth=depth)
    TrafficSeries.objects.filter(span=1, minute__lt=before).delete()
