"""Lists of entries a page at a time, and counts that never take long, over a spool of any size.

Where one index leads to the entries in their order, the list is read from it. Where it does not (words of a subject, a
size, several conditions at once), entries are looked at from the newest on, a window at a time and for a bounded time;
the page then says how far it has looked and the next one goes on there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from spool.filters.conditions import SpoolFilter
from spool.filters.units import BadFilter
from spool.models.entry import Entry, Status

PAGE_SIZE = 50
# Up to here matches are few: fetching and sorting them is quick whatever else is asked for.
FEW = 10_000
# Their index does not have the entries in the order of ids.
UNORDERED = {"sender_domain", "only_sender_domain"}
# Entries in one window, and how long windows are looked at for one page. A window takes 5 to 10 ms.
WINDOW = 5_000
LOOK_SECONDS = 0.05
# Clocks and the order of commits differ a little from the order of ids.
SLACK = timedelta(minutes=1)

# What a list can be sorted by, and whether only what waits is in the index for it.
SORTS = {
    "id": False, "-id": False, "next_attempt": True, "-next_attempt": True, "size_bytes": True, "-size_bytes": True,
    "attempts": True, "-attempts": True,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries in order. `next` goes on behind them (empty at the end); `note` says what people should know.

    `complete` is False when the look was cut short: there may be more matches although the page is not full.
    """

    entries: list[Entry]
    next: str = ""
    note: str = ""
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Count:
    """How many match; `more` says that there are more, which were not counted."""

    number: int
    more: bool = False

    def __str__(self) -> str:
        return f"{self.number:,}+" if self.more else f"{self.number:,}"


def page(chosen: SpoolFilter, *, sort: str = "-id", after: str = "", size: int = PAGE_SIZE) -> Page:
    """Entries that `chosen` matches, `size` at most, behind the place `after` (a page's `next`). Raises BadFilter."""
    if sort not in SORTS:
        raise BadFilter(f"{sort!r} is not an order; there are {', '.join(SORTS)}.")
    few = _few(chosen)
    column, note = sort.lstrip("-"), ""
    if (
        column != "id"
        and not few
        and not (chosen.indexed == ["status"] and chosen.status == Status.WAITING and not chosen.scanned)
    ):
        sort, column = "-id", "id"
        note = "Too many match to sort them by that; they are sorted by age."
    if column != "id":
        return _sorted(chosen, few, sort, after, size)
    descending = sort.startswith("-")
    if few or (
        not {*chosen.indexed} & UNORDERED and len(chosen.indexed) <= 1 and not chosen.scanned and not _by_time(chosen)
    ):
        return _straight(chosen, few, descending, after, size, note)
    return _windows(chosen, descending, after, size, note)


def count(chosen: SpoolFilter, limit: int = 10_000) -> Count:
    """How many match, counted up to `limit`, and for a bounded time where each entry must be looked at."""
    several = len(chosen.indexed) + len(chosen.scanned) + _by_time(chosen) > 1
    few = _few(chosen) if several and chosen.indexed else ""
    if not few and (several or chosen.scanned or _by_time(chosen)):
        return _count_windows(chosen, limit)
    found = _of_few(chosen, few)[: limit + 1].count() if few else _bounded(chosen, limit + 1)
    return Count(min(found, limit), found > limit)


def _bounded(chosen: SpoolFilter, limit: int) -> int:
    """The number of matches, `limit` at most."""
    if chosen.indexed in (["domain"], ["recipient"]) and not chosen.scanned:
        return len(_entry_ids(chosen, limit=limit))
    entries = chosen.apply(Entry.objects.all())
    if {*chosen.indexed} & UNORDERED and len(chosen.indexed) == 1:
        # Along its index: PostgreSQL might otherwise read the table for a domain that has much of it.
        entries = entries.order_by("sender", "id")
    return entries[:limit].count()


def _few(chosen: SpoolFilter) -> str:
    """A condition that alone leaves only a few entries; empty when there is none."""
    return next((name for name in chosen.indexed if _bounded(chosen.only(name), FEW + 1) <= FEW), "")


def _of_few(chosen: SpoolFilter, few: str) -> QuerySet[Entry]:
    """The matches, found by the condition `few`; the others are looked up for each entry."""
    return chosen.apply(Entry.objects.all(), each=bool(few) and few not in ("recipient", "domain"))


def _by_time(chosen: SpoolFilter) -> bool:
    return chosen.older_than is not None or chosen.younger_than is not None


def _straight(chosen: SpoolFilter, few: str, descending: bool, after: str, size: int, note: str) -> Page:
    """One query along an index."""
    place = _place(after)
    if chosen.indexed in (["domain"], ["recipient"]) and not chosen.scanned and not _by_time(chosen):
        ids = _entry_ids(chosen, place, descending, size + 1)
        entries = sorted(_wanted(Entry.objects.filter(id__in=ids)), key=lambda e: e.id, reverse=descending)
    else:
        entries = list(_ordered(_wanted(_of_few(chosen, few)), place, descending)[: size + 1])
    return Page(entries[:size], _after(entries[size - 1]) if len(entries) > size else "", note)


def _entry_ids(chosen: SpoolFilter, place: int | None = None, descending: bool = True, limit: int = FEW) -> list[int]:
    """Entries by their recipients, along the index of recipients: no join that a planner could get wrong."""
    meant = chosen.recipients()
    if place is not None:
        meant = meant.filter(entry_id__lt=place) if descending else meant.filter(entry_id__gt=place)
    order = "-entry_id" if descending else "entry_id"
    return list(meant.order_by(order).values_list("entry_id", flat=True).distinct()[:limit])


def _windows(chosen: SpoolFilter, descending: bool, after: str, size: int, note: str) -> Page:
    """Window after window until the page is full or the time is over."""
    lowest, highest = bounds(chosen)
    place = _place(after)
    if place is not None:
        lowest, highest = (lowest, min(highest, place - 1)) if descending else (max(lowest, place + 1), highest)
    deadline = time.monotonic() + LOOK_SECONDS
    entries: list[Entry] = []
    while lowest <= highest:
        within = _window(lowest, highest, descending)
        matches = _wanted(chosen.apply(Entry.objects.all(), within))
        entries += _ordered(matches, None, descending)[: size + 1 - len(entries)]
        if len(entries) > size:
            return Page(entries[:size], _after(entries[size - 1]), note)
        lowest, highest = (lowest, within[0] - 1) if descending else (within[1] + 1, highest)
        if time.monotonic() > deadline and lowest <= highest:
            edge = within[0] if descending else within[1]
            return Page(entries, str(edge), f"{note} {_looked(edge, descending)}".strip(), complete=False)
    return Page(entries, "", note)


def _looked(edge: int, descending: bool) -> str:
    at = Entry.objects.filter(id__gte=edge).order_by("id").values_list("created", flat=True).first()
    back = "back to" if descending else "up to"
    return f"Looked {back} {at:%Y-%m-%d %H:%M:%S}; go on to look further." if at else ""


def _count_windows(chosen: SpoolFilter, limit: int) -> Count:
    lowest, highest = bounds(chosen)
    deadline = time.monotonic() + LOOK_SECONDS
    found = 0
    while lowest <= highest:
        within = _window(lowest, highest, True)
        found += chosen.apply(Entry.objects.all(), within)[: limit + 1 - found].count()
        highest = within[0] - 1
        if found > limit or (time.monotonic() > deadline and lowest <= highest):
            return Count(min(found, limit), True)
    return Count(found)


def matching_ids(chosen: SpoolFilter, cursor: int, last_id: int) -> Iterator[list[int]]:
    """The ids of all matches behind `cursor`, up to `last_id`, in order: some at a time, for work on all of them."""
    if few := _few(chosen):
        found = _of_few(chosen, few).filter(id__gt=cursor, id__lte=last_id)
        yield list(found.order_by("id").values_list("id", flat=True))
        return
    lowest, highest = bounds(chosen)
    lowest, highest = max(lowest, cursor + 1), min(highest, last_id)
    while lowest <= highest:
        within = _window(lowest, highest, descending=False)
        yield list(chosen.apply(Entry.objects.all(), within).order_by("id").values_list("id", flat=True))
        lowest = within[1] + 1


def _window(lowest: int, highest: int, descending: bool) -> tuple[int, int]:
    """The ids of the next WINDOW entries; ids have gaps where mail has left."""
    ids = _ordered(Entry.objects.filter(id__gte=lowest, id__lte=highest), None, descending).values_list("id", flat=True)
    edge = ids[WINDOW - 1 : WINDOW].first()
    if edge is None:
        return lowest, highest
    return (edge, highest) if descending else (lowest, edge)


def bounds(chosen: SpoolFilter) -> tuple[int, int]:
    """The lowest and the highest id that can be meant, by how long entries have been in the spool."""
    lowest = Entry.objects.order_by("id").values_list("id", flat=True).first() or 0
    highest = Entry.objects.order_by("-id").values_list("id", flat=True).first() or -1
    now = timezone.now()
    if chosen.younger_than is not None:
        lowest = _first_since(now - chosen.younger_than - SLACK, lowest, highest)
    if chosen.older_than is not None:
        highest = min(highest, _first_since(now - chosen.older_than + SLACK, lowest, highest))
    return lowest, highest


def _first_since(moment: datetime, lowest: int, highest: int) -> int:
    """The first id that came at `moment` or later, by bisection: ids grow with time."""
    while lowest < highest:
        middle = (lowest + highest) // 2
        row = Entry.objects.filter(id__gte=middle).order_by("id").values_list("id", "created").first()
        if row is None or row[1] >= moment:
            highest = middle
        else:
            lowest = row[0] + 1
    return lowest


def _sorted(chosen: SpoolFilter, few: str, sort: str, after: str, size: int) -> Page:
    """By another column, and by id among equals."""
    column, descending = sort.lstrip("-"), sort.startswith("-")
    entries = _wanted(_of_few(chosen, few).exclude(**{f"{column}__isnull": True}))
    if after:
        value, place = _value_and_place(after, column)
        side = "lt" if descending else "gt"
        # The first condition looks redundant; it is the one that an index can be entered by.
        entries = entries.filter(**{f"{column}__{side}e": value}).filter(
            Q(**{f"{column}__{side}": value}) | Q(**{column: value, f"id__{side}": place})
        )
    sign = "-" if descending else ""
    found = list(entries.order_by(f"{sign}{column}", f"{sign}id")[: size + 1])
    note = "Messages on hold after errors have no next attempt: they are not in this order."
    note = note if column == "next_attempt" and Entry.objects.filter(hold=True, next_attempt=None).exists() else ""
    if len(found) <= size:
        return Page(found, "", note)
    last = getattr(found[size - 1], column)
    text = str(int(last.timestamp() * 1_000_000)) if isinstance(last, datetime) else str(last)
    return Page(found[:size], f"{text}.{found[size - 1].id}", note)


def _ordered(entries: QuerySet[Entry], place: int | None, descending: bool) -> QuerySet[Entry]:
    if place is not None:
        entries = entries.filter(id__lt=place) if descending else entries.filter(id__gt=place)
    return entries.order_by("-id" if descending else "id")


def _wanted(entries: QuerySet[Entry]) -> QuerySet[Entry]:
    """Without the column that may be large."""
    return entries.defer("traceback")


def _after(entry: Entry) -> str:
    return str(entry.id)


def _place(after: str) -> int | None:
    if not after:
        return None
    if not (after.isascii() and after.isdigit()) or len(after) > 18:
        raise BadFilter("That place in the list does not exist; begin at its first page.")
    return int(after)


def _value_and_place(after: str, column: str) -> tuple[Any, int]:
    text, _, place = after.partition(".")
    number, entry = _place(text), _place(place)
    if number is None or entry is None:
        raise BadFilter("That place in the list does not exist; begin at its first page.")
    if column != "next_attempt":
        return number, entry
    seconds, microseconds = divmod(number, 1_000_000)
    try:
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds), entry
    except (OverflowError, OSError, ValueError) as error:
        raise BadFilter("That place in the list does not exist; begin at its first page.") from error


__all__ = ["SORTS", "Count", "Page", "bounds", "count", "matching_ids", "page"]
