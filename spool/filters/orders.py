"""The orders of the spool's lists.

An order is served by an index, by few matches, or level by level: `priority` and `status` have so few values that a
list by one of them is a list of each value after the other.
"""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from spool.filters.keyset import order_of, place_of, values_at
from spool.models.entry import Entry, Priority, Status

# The columns by which each order is one way or the other; the last makes it total.
KEYS = {
    "id": ("id",),
    "file_name": ("file_name",),
    "sender": ("sender_domain", "sender", "id"),
    "size_bytes": ("size_bytes", "id"),
    "attempts": ("attempts", "id"),
    "next_attempt": ("next_attempt", "id"),
}
# Only what waits is in their indexes.
ONLY_WAITING = ("size_bytes", "attempts", "next_attempt")
LEVELS: dict[str, tuple[Any, ...]] = {"priority": tuple(Priority.values), "status": tuple(Status.values)}
SORTS = tuple(f"{sign}{column}" for column in (*KEYS, *LEVELS) for sign in ("", "-"))


def ordered(entries: QuerySet[Entry], sort: str, after: str = "") -> QuerySet[Entry]:
    """`entries` in an order of KEYS, behind the place `after`. Raises BadFilter."""
    return order_of(sort, KEYS, Entry._meta.db_table).of(entries, values_at(after, sort.lstrip("-")))


__all__ = ["KEYS", "LEVELS", "ONLY_WAITING", "SORTS", "ordered", "place_of"]
