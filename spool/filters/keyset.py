"""Lists of a table in orders that an index has, and looks at its rows that never take long.

A page goes on behind the last row of the one before, by that row's place in the order. Where no index leads to what is
asked for, rows are looked at a window at a time and for a bounded time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _

from accounts.addresses import domain_of
from spool.filters.units import BadFilter
from spool.rows import statements

M = TypeVar("M", bound=Model)
# Rows in one window, and how long windows are looked at for one page and for its count. A window takes 3 to 6 ms.
WINDOW = 3_000
LOOK_SECONDS = 0.025
COUNT_SECONDS = 0.015
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Of a name in a place.
_LONGEST_NAME = 320
# Columns whose places are moments.
_MOMENTS = ("next_attempt", "removal")


@dataclass(frozen=True, slots=True)
class Order:
    """All `columns` of `table` one way or the other; the last makes the order total."""

    table: str
    columns: tuple[str, ...]
    descending: bool

    def of(self, rows: QuerySet[M], behind: Sequence[Any] = (), through: Sequence[Any] = ()) -> QuerySet[M]:
        """`rows` in this order: those behind one place, up to and with another."""
        names = ", ".join(f"{self.table}.{name}" for name in self.columns)
        beyond, up_to = ("<", ">=") if self.descending else (">", "<=")
        for values, further in ((behind, beyond), (through, up_to)):
            if values:
                # Compared as a row: the index is entered at the place itself.
                marks = ", ".join("%s" for _ in values)
                rows = rows.extra(where=[f"({names}) {further} ({marks})"], params=[_stored(one) for one in values])
        return rows.order_by(*(f"{'-' if self.descending else ''}{name}" for name in self.columns))


def order_of(sort: str, keys: Mapping[str, tuple[str, ...]], table: str) -> Order:
    """The order that `sort` names: a column of `keys`, turned round by a sign."""
    return Order(table, keys[sort.lstrip("-")], sort.startswith("-"))


def place_of(row: Any, sort: str) -> str:
    """The place of a row in an order, for a URL."""
    column = sort.lstrip("-")
    if column == "id":
        return str(row.pk)
    return _place(getattr(row, column), row.pk)


def place_at(values: Sequence[Any], column: str) -> str:
    """The place at which an order's columns have these values; "" for none."""
    if not values or column == "id":
        return str(values[0]) if values else ""
    *_, value, row_id = (*values, 0) if column == "file_name" else values
    return _place(value, row_id)


def _place(value: Any, row_id: int) -> str:
    return f"{_microseconds(value) if isinstance(value, datetime) else value}.{row_id}"


def values_at(place: str, column: str) -> list[Any]:
    """The values of an order's columns at a place; none for "". Raises BadFilter."""
    if not place:
        return []
    if column == "id":
        return [number(place)]
    text, _, pk = place.rpartition(".")
    row_id = number(pk)
    if "\x00" in text:
        raise nowhere()
    if column == "file_name":
        return [text]
    if column == "sender":
        return [domain_of(text), text, row_id]
    return [_moment(number(text)) if column in _MOMENTS else number(text), row_id]


def place_in_time(values: Sequence[Any]) -> str:
    """The place of a row in an order by a moment, or by a name and then the moment: (name, if any, moment, id)."""
    *named, at, row_id = values
    return ".".join([str(_microseconds(at)), str(row_id), *named])


def values_in_time(place: str, *, is_named: bool) -> tuple[Any, ...]:
    """The values of such an order's columns at a place; none for "". Raises BadFilter."""
    if not place:
        return ()
    moment, _, rest = place.replace("\0", "").partition(".")
    row_id, _, named = rest.partition(".")
    at = _moment(number(moment))
    return (named[:_LONGEST_NAME], at, number(row_id)) if is_named else (at, number(row_id))


def number(text: str) -> int:
    """A number of a place. Raises BadFilter."""
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise nowhere()
    return int(text)


def nowhere() -> BadFilter:
    return BadFilter(_("That place in the list does not exist; begin at its first page."))


def turned(sort: str) -> str:
    """The same order from its other end."""
    return sort[1:] if sort.startswith("-") else f"-{sort}"


@dataclass(frozen=True, slots=True)
class Looked(Generic[M]):
    """What a look has found; `edge` is the place up to which it came when its time was over, empty otherwise, and
    `number` how many rows it looked at.
    """

    rows: list[M]
    edge: tuple[Any, ...] = ()
    number: int = 0


def look(
    rows: QuerySet[M],
    meant: Callable[[QuerySet[M]], QuerySet[M]],
    order: Order,
    behind: Sequence[Any],
    size: int,
    seconds: float,
) -> Looked[M]:
    """Up to `size` + 1 of those of `rows` that are `meant`, window after window until the time is over."""
    deadline = time.monotonic() + seconds
    found: list[M] = []
    number = 0
    while True:
        edge = _edge(rows, order, behind)
        found += meant(order.of(rows, behind, edge))[: size + 1 - len(found)]
        if len(found) > size or not edge:
            return Looked(found)
        number += WINDOW
        if time.monotonic() > deadline:
            return Looked(found, edge, number)
        behind = edge


def tally(rows: QuerySet[M], meant: Callable[[QuerySet[M]], QuerySet[M]], order: Order, limit: int) -> tuple[int, bool]:
    """How many are meant, counted up to `limit`, and whether there may be more."""
    deadline = time.monotonic() + COUNT_SECONDS
    found, behind = 0, ()
    while True:
        edge = _edge(rows, order, behind)
        found += meant(order.of(rows, behind, edge)).order_by()[: limit + 1 - found].count()
        if found > limit or not edge:
            return min(found, limit), found > limit
        if time.monotonic() > deadline:
            return found, True
        behind = edge


def _edge(rows: QuerySet[M], order: Order, behind: Sequence[Any]) -> tuple[Any, ...]:
    """The place of the last row of the next window; empty when there are no more than that."""
    return order.of(rows, behind).values_list(*order.columns)[WINDOW - 1 : WINDOW].first() or ()


def _microseconds(at: datetime) -> int:
    """Since 1970. As a float, a moment of today has fewer."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def _moment(microseconds: int) -> datetime:
    seconds, rest = divmod(microseconds, 1_000_000)
    try:
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=rest)
    except (OverflowError, OSError, ValueError) as error:
        raise nowhere() from error


def _stored(value: Any) -> Any:
    return statements.db_time(value) if isinstance(value, datetime) else value
