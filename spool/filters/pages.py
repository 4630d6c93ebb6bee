"""Lists of entries a page at a time, and counts that never take long, over a spool of any size.

Where one index leads to the entries in their order, the list is read from it. Where it does not (words of a subject, a
size, several conditions at once), entries are looked at from the newest on, a window at a time and for a bounded time;
the page then says how far it has looked and the next one goes on there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db.models import Model, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from base.numbers import grouped
from spool.filters.conditions import SpoolFilter
from spool.filters.keyset import COUNT_SECONDS, LOOK_SECONDS, WINDOW, nowhere, number
from spool.filters.orders import LEVELS, ONLY_WAITING, SORTS, ordered, place_of
from spool.filters.units import BadFilter
from spool.models.entry import Entry, Status
from spool.models.recipient import Recipient

M = TypeVar("M", bound=Model)
PAGE_SIZE = 50
# How long somebody looks who goes on after a look that was cut short.
PATIENT_SECONDS = 1.0
# Up to here matches are few: fetching and sorting them is quick whatever else is asked for.
FEW = 10_000
# Their index does not have the entries in the order of ids.
UNORDERED = {"sender_domain", "only_sender_domain"}
# Ids that are read at a time for work on all that match.
MANY = 20_000
# Clocks and the order of commits differ a little from the order of ids.
SLACK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a look came: through `rows` of about `whole` (0 when nobody knows), back to or up to the moment `at`.

    `further` is for a look whose beginning was not that of the list.
    """

    rows: int
    whole: int
    at: datetime | None = None
    back: bool = True
    further: bool = False

    def sentence(self, found: int) -> str:
        """For people, with the number of matches `found` there."""
        rows, whole = grouped(rounded(self.rows)), grouped(rounded(max(self.whole, self.rows)))
        if not self.whole:
            looked = (
                _("Looked through another %(rows)s messages") if self.further else _("Looked through %(rows)s messages")
            )
        elif self.further:
            looked = _("Looked through another %(rows)s of about %(whole)s messages")
        else:
            looked = _("Looked through %(rows)s of about %(whole)s messages")
        said = looked % {"rows": rows, "whole": whole}
        if self.at:
            until = _("back to %(moment)s") if self.back else _("up to %(moment)s")
            said = f"{said}, {until % {'moment': f'{timezone.localtime(self.at):%Y-%m-%d %H:%M}'}}"
        ended = _("%(found)s found.") if self.further else _("%(found)s found so far.")
        return f"{said}; {ended % {'found': grouped(found)}}"


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """Some entries, or what else a list is of, in order.

    `next` goes on behind them (empty at the end); `note` says what people should know.

    `sort` is the order they are in, which may not be the one that was asked for. `extent` says how far a look came that
    its time cut short: there may be more matches although the page is not full.
    """

    entries: list[M]
    next: str = ""
    note: str = ""
    extent: Extent | None = None
    sort: str = "-id"

    @property
    def complete(self) -> bool:
        """Whether all that could be on this page is."""
        return self.extent is None


def cut(rows: list[M], size: int, sort: str) -> Page[M]:
    """The page of up to `size` rows, where one more than that was asked for."""
    return Page(rows[:size], place_of(rows[size - 1], sort) if len(rows) > size else "", sort=sort)


@dataclass(frozen=True, slots=True)
class Count:
    """How many match; `more` says that there are more, which were not counted."""

    number: int
    more: bool = False

    def __str__(self) -> str:
        if not self.more:
            return grouped(self.number)
        return (
            _("more than %(number)s") % {"number": grouped(rounded(self.number))}
            if self.number
            else _("an unknown number of")
        )

    @property
    def short(self) -> str:
        """`8.9k`, for where there is little room."""
        plus = "+" if self.more else ""
        for unit, name in ((1_000_000, "M"), (1_000, "k")):
            if self.number >= unit:
                # Cut, not rounded: 999,960 is no million yet.
                tenths = self.number * 10 // unit
                return f"{tenths / 10:.1f}{name}{plus}" if tenths < 1_000 else f"{tenths // 10:,}{name}{plus}"
        return f"{self.number}{plus}"


def rounded(number: int) -> int:
    """Down to two digits that count: what was not counted to its end is not known more exactly."""
    step: int = 10 ** max(0, len(str(number)) - 2)
    return number // step * step


class Plan:
    """How a filter is answered: what was found out for its page serves its count, too."""

    def __init__(self, chosen: SpoolFilter) -> None:
        self.chosen = chosen

    @cached_property
    def few(self) -> str:
        """A condition that alone leaves only a few entries; empty when there is none."""
        chosen = self.chosen
        return next((name for name in chosen.indexed if _bounded(chosen.only(name), FEW + 1) <= FEW), "")


def page(
    chosen: SpoolFilter,
    *,
    sort: str = "-id",
    after: str = "",
    size: int = PAGE_SIZE,
    plan: Plan | None = None,
    patient: bool = False,
) -> Page[Entry]:
    """Entries that `chosen` matches, `size` at most, behind the place `after` (a page's `next`). Raises BadFilter.

    `patient` is for somebody who has asked for a longer look.
    """
    plan = plan or Plan(chosen)
    if sort not in SORTS:
        raise BadFilter(
            _("%(sort)s is not an order; there are %(sorts)s.") % {"sort": f"{sort!r}", "sorts": ", ".join(SORTS)}
        )
    column, descending = sort.lstrip("-"), sort.startswith("-")
    if column in LEVELS:
        return replace(_by_level(chosen, column, descending, after, size, patient), sort=sort)
    few, note = "", ""
    if column != "id":
        few = plan.few
        if few or _has_index(chosen, column):
            return replace(_sorted(chosen, few, sort, after, size), sort=sort)
        sort, note = "-id" if descending else "id", _("Too many match to sort them by that; they are sorted by age.")
    if not (few or is_straight(chosen)):
        few = plan.few
        if not few:
            found = _windows(chosen, descending, after, size, PATIENT_SECONDS if patient else LOOK_SECONDS)
            return replace(found, sort=sort, note=note)
    return replace(_straight(chosen, few, descending, after, size), sort=sort, note=note)


def is_straight(chosen: SpoolFilter) -> bool:
    """Whether one index has the matches in the order of their ids."""
    simple = len(chosen.indexed) <= 1 and not chosen.scanned and not _by_time(chosen)
    return simple and not {*chosen.indexed} & UNORDERED


def _has_index(chosen: SpoolFilter, column: str) -> bool:
    """Whether an index has the matches in the order of `column`."""
    if chosen.scanned or _by_time(chosen):
        return False
    waits = chosen.indexed == ["status"] and chosen.status == Status.WAITING
    if column in ONLY_WAITING:
        return waits
    return waits or not chosen.indexed or (column == "sender" and set(chosen.indexed) <= UNORDERED)


def _by_level(chosen: SpoolFilter, column: str, descending: bool, after: str, size: int, patient: bool) -> Page[Entry]:
    """The entries of each value of a column after those of the one before, by id among equals."""
    levels = [level for level in LEVELS[column] if getattr(chosen, column) in (None, "", level)]
    if descending:
        levels.reverse()
    entries: list[Entry] = []
    name, _, place = after.partition(".")
    if after:
        if name not in {str(level) for level in levels} or not (place or after.endswith(".")):
            raise nowhere()
        levels = levels[[str(level) for level in levels].index(name) :]
    for level in levels:
        # One more than is shown: it says whether there is another page.
        of_level = chosen.with_values(**{column: level})
        by_id, room = "-id" if descending else "id", size + 1 - len(entries)
        found = page(of_level, sort=by_id, after=place, size=room, patient=patient)
        entries += found.entries
        place = ""
        if len(entries) > size:
            last = entries[size - 1]
            return Page(entries[:size], f"{getattr(last, column)}.{last.pk}", found.note)
        if found.next:
            return Page(entries, f"{level}.{found.next}", found.note, found.extent)
    return Page(entries)


def count(chosen: SpoolFilter, limit: int = 10_000, plan: Plan | None = None) -> Count:
    """How many match, counted up to `limit`, and for a bounded time where each entry must be looked at."""
    several = len(chosen.indexed) + len(chosen.scanned) + _by_time(chosen) > 1
    few = (plan or Plan(chosen)).few if several and chosen.indexed else ""
    if not few and (several or chosen.scanned or _by_time(chosen)):
        return _count_windows(chosen, limit)
    found = of_few(chosen, few)[: limit + 1].count() if few else _bounded(chosen, limit + 1)
    return Count(min(found, limit), found > limit)


def _bounded(chosen: SpoolFilter, limit: int) -> int:
    """The number of matches, `limit` at most."""
    if branches := _branches(chosen):
        numbers = [ids[:limit].count() for ids in branches]
        # A message has one sender; among its recipients several may meet the conditions.
        if chosen.sender or sum(map(bool, numbers)) <= 1 or max(numbers) >= limit:
            return min(limit, sum(numbers))
        return min(limit, len(set().union(*(ids[:limit] for ids in branches))))
    entries = chosen.apply(Entry.objects.all())
    if len(chosen.indexed) == 1 and not chosen.scanned:
        # Along its index: PostgreSQL might otherwise read the table for a condition that much of it meets.
        entries = entries.order_by(*(("sender", "id") if {*chosen.indexed} & UNORDERED else ("id",)))
    return entries[:limit].count()


def _branches(chosen: SpoolFilter, after: str = "", descending: bool = True) -> list[QuerySet[Any, int]]:
    """The ids of all matches, by each of the conditions of which one must hold, along its index; none where more is
    asked for.

    Each is a query of its own: no database has the order of two indexes at once.
    """
    if len(chosen.indexed) != 1 or chosen.scanned or _by_time(chosen):
        return []
    name = chosen.indexed[0]
    if name in ("recipient", "mailbox", "domain"):
        return [_entry_ids(condition, after, descending) for condition in chosen.branches(name)]
    if name != "sender" or len(chosen.branches(name)) < 2:
        return []
    sort, reach = "-id" if descending else "id", Entry.objects.all()
    if chosen.only_sender_domain is not None:
        reach = reach.filter(sender_domain=chosen.only_sender_domain)
    return [
        ordered(reach.filter(condition), sort, after).values_list("id", flat=True)
        for condition in chosen.branches(name)
    ]


def _merged(branches: Sequence[QuerySet[Any, int]], size: int, *, descending: bool) -> list[int]:
    """The first `size` ids that any of `branches` has."""
    return sorted(set().union(*(ids[:size] for ids in branches)), reverse=descending)[:size]


def of_few(chosen: SpoolFilter, few: str) -> QuerySet[Entry]:
    """The matches, found by the condition `few`; the others are looked up for each entry."""
    return chosen.apply(Entry.objects.all(), each=bool(few) and few not in ("recipient", "mailbox", "domain"))


def _by_time(chosen: SpoolFilter) -> bool:
    return chosen.older_than is not None or chosen.younger_than is not None


def _straight(chosen: SpoolFilter, few: str, descending: bool, after: str, size: int) -> Page[Entry]:
    """One query along an index."""
    sort = "-id" if descending else "id"
    if branches := _branches(chosen, after, descending):
        ids = _merged(branches, size + 1, descending=descending)
        entries = list(ordered(_wanted(Entry.objects.filter(id__in=ids)), sort))
    else:
        entries = list(ordered(_wanted(of_few(chosen, few)), sort, after)[: size + 1])
    return cut(entries, size, sort)


def _entry_ids(condition: Q, after: str, descending: bool) -> QuerySet[Recipient, int]:
    """Entries by their recipients, along the index of recipients: no join that a planner could get wrong."""
    meant = Recipient.objects.filter(condition)
    if after:
        place = number(after)
        meant = meant.filter(entry_id__lt=place) if descending else meant.filter(entry_id__gt=place)
    return meant.order_by("-entry_id" if descending else "entry_id").values_list("entry_id", flat=True).distinct()


def _windows(chosen: SpoolFilter, descending: bool, after: str, size: int, seconds: float) -> Page[Entry]:
    """Window after window until the page is full or the time is over."""
    sort = "-id" if descending else "id"
    lowest, highest = whole = bounds(chosen)
    if after:
        place = number(after)
        lowest, highest = (lowest, min(highest, place - 1)) if descending else (max(lowest, place + 1), highest)
    deadline = time.monotonic() + seconds
    entries: list[Entry] = []
    began, rows = (highest if descending else lowest), 0
    while lowest <= highest:
        within = _window(lowest, highest, descending)
        matches = _wanted(chosen.apply(Entry.objects.all(), within))
        entries += ordered(matches, sort)[: size + 1 - len(entries)]
        if len(entries) > size:
            return cut(entries, size, sort)
        lowest, highest = (lowest, within[0] - 1) if descending else (within[1] + 1, highest)
        rows += WINDOW
        if time.monotonic() > deadline and lowest <= highest:
            edge = within[0] if descending else within[1]
            return Page(entries, str(edge), extent=_extent(whole, began, edge, rows, descending))
    return Page(entries)


def _extent(whole: tuple[int, int], began: int, edge: int, rows: int, descending: bool) -> Extent:
    """How far that came of the ids of `whole`: from `began` to `edge` there were so many rows, elsewhere as dense."""
    density = rows / (abs(edge - began) + 1)
    before = (whole[1] - began) if descending else (began - whole[0])
    at = Entry.objects.filter(id__gte=edge).order_by("id").values_list("created", flat=True).first()
    return Extent(rows + round(before * density), round((whole[1] - whole[0] + 1) * density), at, descending)


def _count_windows(chosen: SpoolFilter, limit: int) -> Count:
    lowest, highest = bounds(chosen)
    deadline = time.monotonic() + COUNT_SECONDS
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
    if len(chosen.indexed) <= 1 and not chosen.scanned and not _by_time(chosen):
        while ids := _ids_behind(chosen, cursor, last_id):
            yield ids
            cursor = ids[-1]
        return
    if few := Plan(chosen).few:
        found = of_few(chosen, few).filter(id__gt=cursor, id__lte=last_id)
        yield list(found.order_by("id").values_list("id", flat=True))
        return
    lowest, highest = bounds(chosen)
    lowest, highest = max(lowest, cursor + 1), min(highest, last_id)
    while lowest <= highest:
        within = _window(lowest, highest, descending=False)
        yield list(chosen.apply(Entry.objects.all(), within).order_by("id").values_list("id", flat=True))
        lowest = within[1] + 1


def _ids_behind(chosen: SpoolFilter, cursor: int, last_id: int) -> list[int]:
    """The next matches of a filter that one index answers."""
    if branches := _branches(chosen, str(cursor), descending=False):
        return [number for number in _merged(branches, MANY, descending=False) if number <= last_id]
    matches = chosen.apply(Entry.objects.all()).filter(id__gt=cursor, id__lte=last_id)
    return list(matches.order_by("id").values_list("id", flat=True)[:MANY])


def _window(lowest: int, highest: int, descending: bool) -> tuple[int, int]:
    """The ids of the next WINDOW entries; ids have gaps where mail has left."""
    there = Entry.objects.filter(id__gte=lowest, id__lte=highest)
    ids = ordered(there, "-id" if descending else "id").values_list("id", flat=True)
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


def _sorted(chosen: SpoolFilter, few: str, sort: str, after: str, size: int) -> Page[Entry]:
    """By another column, and by id among equals."""
    entries, note = _wanted(of_few(chosen, few)), ""
    if sort.lstrip("-") == "next_attempt":
        entries = entries.filter(next_attempt__isnull=False)
        if Entry.objects.filter(hold=True, next_attempt=None).exists():
            note = _("Messages on hold after errors have no next attempt: they are not in this order.")
    return replace(cut(list(ordered(entries, sort, after)[: size + 1]), size, sort), note=note)


def _wanted(entries: QuerySet[Entry]) -> QuerySet[Entry]:
    """Without the column that may be large."""
    return entries.defer("traceback")


__all__ = ["SORTS", "Count", "Page", "Plan", "bounds", "count", "is_straight", "matching_ids", "of_few", "page"]
