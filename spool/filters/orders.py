"""The orders of a list, and the places in them: a page goes on behind the last row of the one before.

An order is served by an index, by few matches, or level by level: `priority` and `status` have so few values that a
list by one of them is a list of each value after the other.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from spool import statements
from spool.filters.units import BadFilter
from spool.models.entry import Entry, Priority, Status

# The columns by which each order is one way or the other; the last makes it total.
KEYS = {
    "id": ("id",), "file_name": ("file_name",), "sender": ("sender_domain", "sender", "id"),
    "size_bytes": ("size_bytes", "id"), "attempts": ("attempts", "id"), "next_attempt": ("next_attempt", "id"),
}  # fmt: skip
# Only what waits is in their indexes.
ONLY_WAITING = ("size_bytes", "attempts", "next_attempt")
LEVELS: dict[str, tuple[Any, ...]] = {"priority": tuple(Priority.values), "status": tuple(Status.values)}
SORTS = tuple(f"{sign}{column}" for column in (*KEYS, *LEVELS) for sign in ("", "-"))


def ordered(entries: QuerySet[Entry], sort: str, after: str = "") -> QuerySet[Entry]:
    """`entries` in an order of KEYS, behind the place `after`. Raises BadFilter."""
    column, sign = sort.lstrip("-"), "-" if sort.startswith("-") else ""
    if after:
        names = ", ".join(f"spool_entry.{name}" for name in KEYS[column])
        values = _values(column, after)
        # Compared as a row: the index is entered at the place itself.
        where = f"({names}) {'<' if sign else '>'} ({', '.join('%s' for _ in values)})"
        entries = entries.extra(where=[where], params=values)
    return entries.order_by(*(f"{sign}{name}" for name in KEYS[column]))


def place_of(entry: Entry, sort: str) -> str:
    """The place of an entry in an order, for a URL."""
    column = sort.lstrip("-")
    if column == "id":
        return str(entry.pk)
    value = getattr(entry, column)
    return f"{int(value.timestamp() * 1_000_000) if isinstance(value, datetime) else value}.{entry.pk}"


def number(text: str) -> int:
    """A number of a place. Raises BadFilter."""
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise nowhere()
    return int(text)


def nowhere() -> BadFilter:
    return BadFilter("That place in the list does not exist; begin at its first page.")


def _values(column: str, after: str) -> list[Any]:
    if column == "id":
        return [number(after)]
    text, _, pk = after.rpartition(".")
    entry_id = number(pk)
    if "\x00" in text:
        raise nowhere()
    if column == "file_name":
        return [text]
    if column == "sender":
        return [text.rpartition("@")[2].lower(), text, entry_id]
    if column == "next_attempt":
        return [statements.db_time(_moment(number(text))), entry_id]
    return [number(text), entry_id]


def _moment(microseconds: int) -> datetime:
    seconds, rest = divmod(microseconds, 1_000_000)
    try:
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=rest)
    except (OverflowError, OSError, ValueError) as error:
        raise nowhere() from error
