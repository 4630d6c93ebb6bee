"""What the counts say: the top keys of each kind with their windows, and the windows of the whole server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from spool.models.traffic import WHOLE, TrafficKind
from spool.rows import traffic_figures
from spool.rows.traffic_figures import Ranked
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
    ranked = []
    for kind, order in wanted.items():
        if order in _MINUTES:
            ranked.append(Ranked(kind.value, since=window_start(minute_of(now), _MINUTES[order])))
        ranked.append(Ranked(kind.value, by_total=order is Order.TOTAL))
    found: dict[TrafficKind, dict[str, tuple[int, int]]] = {kind: {} for kind in wanted}
    for number, key, day, total in traffic_figures.largest(ranked, size):
        found[TrafficKind(number)][key] = (day, total)
    rows = _with_windows(found, now)
    for kind, order in wanted.items():
        rows[kind].sort(key=lambda row, name=order.value: (-getattr(row, name), -row.day, row.key))  # type: ignore[misc]
        del rows[kind][size:]
    return rows


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
    listed = {kind.value: list(names) for kind, names in keys.items()}
    for number, key, minute, count in traffic_figures.minutes(listed, first):
        if 0 <= minute - first < HOUR:
            counts[TrafficKind(number), key][minute - first] = count
    return counts


def rows_of(kind: TrafficKind, keys: Sequence[str], now: datetime) -> dict[str, TopRow]:
    """The same of these keys, which need not be among the top ones."""
    rows = traffic_figures.totals([kind.value], keys)
    found = {key: (0, 0) for key in keys} | {key: (day, total) for _, key, day, total in rows}
    return {row.key: row for row in _with_windows({kind: found}, now)[kind]}


def whole(kinds: Iterable[TrafficKind], now: datetime) -> dict[TrafficKind, TopRow]:
    """What is counted for the whole server: two queries."""
    wanted = list(kinds)
    rows = traffic_figures.totals([kind.value for kind in wanted], [WHOLE])
    found = {kind: {WHOLE: (0, 0)} for kind in wanted}
    found |= {TrafficKind(kind): {WHOLE: (day, total)} for kind, _, day, total in rows}
    return {kind: windows[0] for kind, windows in _with_windows(found, now).items()}


def _with_windows(
    found: Mapping[TrafficKind, Mapping[str, tuple[int, int]]], now: datetime
) -> dict[TrafficKind, list[TopRow]]:
    minute = minute_of(now)
    keys_of = {kind.value: list(keys) for kind, keys in found.items()}
    rows = traffic_figures.hours(keys_of, window_start(minute, 5), window_start(minute, HOUR))
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
