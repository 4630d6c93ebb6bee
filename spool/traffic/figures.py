"""What the counts say: the top keys of each kind with their windows, and the windows of the whole server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from spool.models.traffic import WHOLE, TrafficKind
from spool.rows import statements
from spool.traffic.rollup import DAY, HOUR, minute_of, window_start

TOP = 10
# A row rises when its last hour is this many times its own mean hour before, and is worth a look at all.
RISE = 4
RISE_AT_LEAST = 20
HOURS = DAY // HOUR + 1


@dataclass(frozen=True, slots=True)
class TopRow:
    """One key. A window begins with the bucket that reaches into it; `hours` are the last HOURS, oldest first."""

    kind: TrafficKind
    key: str
    five_minutes: int = 0
    hour: int = 0
    day: int = 0
    total: int = 0
    hours: tuple[int, ...] = (0,) * HOURS

    @property
    def rises(self) -> bool:
        """Whether the last hour is far above what this key used to have in an hour."""
        return rises(self.five_minutes, self.hour, self.day)


def rises(five_minutes: int, hour: int, day: int) -> bool:
    """Whether a window of an hour, or of five minutes at its pace, stands out against the rest of the day."""
    usual = max(0, day - hour) / (DAY // HOUR)
    in_an_hour = hour >= RISE_AT_LEAST and hour > RISE * usual
    at_this_pace = five_minutes >= RISE_AT_LEAST and five_minutes * 12 > RISE * usual
    return in_an_hour or at_this_pace


class Order(StrEnum):
    """By which window keys are ranked: the name of it in TopRow."""

    FIVE_MINUTES = "five_minutes"
    HOUR = "hour"
    DAY = "day"
    TOTAL = "total"


_MINUTES = {Order.FIVE_MINUTES: 5, Order.HOUR: HOUR}


def tops(
    kinds: Iterable[TrafficKind], now: datetime, size: int = TOP, orders: Mapping[TrafficKind, Order] | None = None
) -> dict[TrafficKind, list[TopRow]]:
    """The `size` keys of each kind that had most in the last 24 hours, or in another window: two queries.

    Behind those of a short window come others by the day, so that a quiet minute leaves no table empty.
    """
    wanted = {kind: (orders or {}).get(kind, Order.DAY) for kind in kinds}
    parts: list[str] = []
    parameters: list[Any] = []
    for kind, order in wanted.items():
        if order in _MINUTES:
            parts.append(_OF_WINDOW)
            parameters += [kind.value, window_start(minute_of(now), _MINUTES[order]), size]
        by_total = order is Order.TOTAL
        parts.append(_BY_TOTAL if by_total else _BY_DAY)
        parameters += [kind.value, size]
    found: dict[TrafficKind, dict[str, tuple[int, int]]] = {kind: {} for kind in wanted}
    for number, key, day, total in statements.execute(" UNION ALL ".join(parts), parameters).fetchall():
        found[TrafficKind(number)][key] = (day, total)
    rows = _with_windows(found, now)
    for kind, order in wanted.items():
        rows[kind].sort(key=lambda row, name=order.value: (-getattr(row, name), -row.day, row.key))  # type: ignore[misc]
        del rows[kind][size:]
    return rows


_BY_DAY = (
    "SELECT * FROM (SELECT kind, key, day, total FROM spool_traffictotal WHERE kind = %s AND day > 0"
    " ORDER BY day DESC, key LIMIT %s) AS t"
)
_BY_TOTAL = (
    "SELECT * FROM (SELECT kind, key, day, total FROM spool_traffictotal WHERE kind = %s"
    " ORDER BY total DESC, key LIMIT %s) AS t"
)
_OF_WINDOW = (
    "SELECT t.kind, t.key, t.day, t.total FROM (SELECT kind, key, SUM(number) AS number FROM spool_trafficcount"
    " WHERE span = 1 AND kind = %s AND minute >= %s GROUP BY kind, key ORDER BY number DESC, key LIMIT %s) AS c"
    " JOIN spool_traffictotal t ON t.kind = c.kind AND t.key = c.key"
)


def windows_of(keys: Mapping[TrafficKind, Iterable[str]], now: datetime) -> dict[tuple[TrafficKind, str], TopRow]:
    """What some keys had within the day; `total` is not looked up. One query."""
    found = {kind: dict.fromkeys(names, (0, 0)) for kind, names in keys.items()}
    return {
        (row.kind, row.key): replace(row, day=sum(row.hours))
        for rows in _with_windows(found, now).values()
        for row in rows
    }


def by_minute(keys: Mapping[TrafficKind, Iterable[str]], now: datetime) -> dict[tuple[TrafficKind, str], list[int]]:
    """What some keys had in each of the last HOUR minutes, oldest first; the last is not over yet. One query."""
    first = minute_of(now) - HOUR + 1
    counts = {(kind, key): [0] * HOUR for kind, names in keys.items() for key in names}
    parts: list[str] = []
    parameters: list[Any] = []
    for kind, names in keys.items():
        if listed := list(names):
            clause, values = _any_of(listed)
            parts.append(
                "SELECT kind, key, minute, number FROM spool_trafficcount"  # noqa: S608
                f" WHERE kind = %s AND key {clause} AND minute >= %s AND span = 1"
            )
            parameters += [kind.value, *values, first]
    rows = statements.execute(" UNION ALL ".join(parts), parameters).fetchall() if parts else []
    for number, key, minute, count in rows:
        if 0 <= minute - first < HOUR:
            counts[TrafficKind(number), key][minute - first] = count
    return counts


def rows_of(kind: TrafficKind, keys: Sequence[str], now: datetime) -> dict[str, TopRow]:
    """The same of these keys, which need not be among the top ones."""
    clause, values = _any_of(keys)
    rows = statements.execute(
        f"SELECT key, day, total FROM spool_traffictotal WHERE kind = %s AND key {clause}",  # noqa: S608
        [kind.value, *values],
    ).fetchall()
    found = {key: (0, 0) for key in keys} | {key: (day, total) for key, day, total in rows}
    return {row.key: row for row in _with_windows({kind: found}, now)[kind]}


def whole(kinds: Iterable[TrafficKind], now: datetime) -> dict[TrafficKind, TopRow]:
    """What is counted for the whole server: two queries."""
    wanted = list(kinds)
    marks = ", ".join("%s" for _ in wanted)
    rows = statements.execute(
        f"SELECT kind, day, total FROM spool_traffictotal WHERE kind IN ({marks}) AND key = %s",  # noqa: S608
        [*(kind.value for kind in wanted), WHOLE],
    ).fetchall()
    found = {kind: {WHOLE: (0, 0)} for kind in wanted}
    found |= {TrafficKind(kind): {WHOLE: (day, total)} for kind, day, total in rows}
    return {kind: windows[0] for kind, windows in _with_windows(found, now).items()}


def _any_of(keys: Sequence[str]) -> tuple[str, Sequence[Any]]:
    """The right side of `key …` for some keys, and its parameters."""
    if statements.on_sqlite():
        return f"IN ({', '.join('%s' for _ in keys)})", keys
    return "= ANY(%s)", [list(keys)]


def _with_windows(
    found: Mapping[TrafficKind, Mapping[str, tuple[int, int]]], now: datetime
) -> dict[TrafficKind, list[TopRow]]:
    minute = minute_of(now)
    parts: list[str] = []
    parameters: list[Any] = []
    for kind, keys in found.items():
        if keys:
            clause, values = _any_of(list(keys))
            parts.append(
                "SELECT kind, key, minute / 60, SUM(CASE WHEN minute >= %s THEN number ELSE 0 END),"  # noqa: S608
                " SUM(CASE WHEN minute >= %s THEN number ELSE 0 END), SUM(number) FROM spool_trafficcount"
                f" WHERE kind = %s AND key {clause} GROUP BY kind, key, minute / 60"
            )
            parameters += [window_start(minute, 5), window_start(minute, HOUR), kind.value, *values]
    rows = statements.execute(" UNION ALL ".join(parts), parameters).fetchall() if parts else []
    first = minute // HOUR - HOURS + 1
    windows: defaultdict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])
    hours: defaultdict[tuple[int, str], list[int]] = defaultdict(lambda: [0] * HOURS)
    for kind, key, hour, in_five, in_hour, number in rows:
        windows[kind, key][0] += in_five
        windows[kind, key][1] += in_hour
        hours[kind, key][min(max(hour - first, 0), HOURS - 1)] += number
    return {
        kind: [
            TopRow(
                kind,
                key,
                windows[kind.value, key][0],
                windows[kind.value, key][1],
                day,
                total,
                tuple(hours[kind.value, key]),
            )
            for key, (day, total) in keys.items()
        ]
        for kind, keys in found.items()
    }
