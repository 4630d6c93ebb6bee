"""A page of entries as a list shows it: what was asked for, the rows, and where the pages beside it are.

`listed` and what it is made of serve the lists of other rooms as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from django.db.models import Model
from django.http import QueryDict
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.texts import Text
from spool.filters import FIELDS, SORTS, BadFilter, Count, Field, Page, Plan, SpoolFilter, count, page, place_of
from spool.filters.keyset import turned
from spool.filters.orders import ONLY_WAITING
from spool.models import Entry, Status

M = TypeVar("M", bound=Model)
DEFAULT_SORT = "-id"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table. `sort` is what its heading sorts by at first; the age runs against the ids.

    `name` is what it is chosen by, and `width` its pixels (0: it has its share of the rest), where columns are chosen.
    """

    title: Text
    css: str
    sort: str = ""
    reversed: bool = False
    name: str = ""
    width: int = 0


_NEVER = _lazy("The list can't be sorted by this.")
_HERE_ONLY_FEW = _lazy(
    "The list can be sorted by this in Waiting to Deliver, or when its filter leaves 10,000 messages or fewer."
)
_ALL_WAIT = _lazy("All of them wait: there is nothing to sort.")


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's heading: a link when the list can be sorted by it; else `why_not` says why it can't."""

    title: Text
    css: str
    link: str
    direction: str
    why_not: Text = ""
    name: str = ""
    width: int = 0


@dataclass(frozen=True, slots=True)
class Chip:
    """One condition of the filter, and the link that takes it away."""

    phrase: str
    without: str


@dataclass(frozen=True, slots=True)
class Listing(Generic[M]):
    """All that the table and what is around it show. `error` says what is wrong with the filter in the URL."""

    chosen: Any
    conditions: Mapping[str, str]
    entries: list[M]
    count: Count
    sort: str
    headings: list[Heading]
    chips: list[Chip]
    query: str
    first: str
    previous: str
    following: str
    note: str
    partial: str
    further: str
    error: str

    @property
    def complete(self) -> bool:
        """Whether the page has all that could be on it.

        Else `partial` says how far the look came; it goes on at `further`.
        """
        return not self.partial


def listing(query: QueryDict, columns: Sequence[Column], size: int, *, only_waiting: bool) -> Listing[Entry]:
    """The page of that `size` that a URL's query asks for. Never raises for what a query says."""
    error = ""
    try:
        chosen = SpoolFilter.from_query(query)
    except BadFilter as problem:
        chosen, error = SpoolFilter(), str(problem)
    conditions = {name: text for name, text in chosen.texts().items() if not (only_waiting and name == "status")}
    if only_waiting:
        chosen = replace(chosen, status=Status.WAITING.value)
    plan = Plan(chosen)
    return listed(
        query,
        chosen,
        conditions,
        FIELDS,
        SORTS,
        error,
        look=lambda sort, after: page(chosen, sort=sort, after=after, size=size, plan=plan, patient=is_patient(query)),
        counted=lambda: count(chosen, plan=plan),
        headings=lambda sort: headings_of(columns, conditions, sort, lambda c: _why_not(c, conditions, only_waiting)),
    )


def listed(
    query: QueryDict,
    chosen: Any,
    conditions: Mapping[str, str],
    fields: Mapping[str, Field],
    sorts: Sequence[str],
    error: str,
    *,
    look: Callable[[str, str], Page[M]],
    counted: Callable[[], Count],
    headings: Callable[[str], list[Heading]],
) -> Listing[M]:
    """The page of any list. `look` gives the one in an order behind a place, and raises BadFilter.

    `error` says why the query's filter can't be meant. Places are taken from the query: `after`, or `before`.
    """
    sort = query.get("sort", DEFAULT_SORT)
    if sort not in sorts:
        sort = DEFAULT_SORT
    after, before = query.get("after", ""), query.get("before", "")
    try:
        found, backwards = _turn_to(look, sort, after, before)
    except BadFilter as problem:
        error, (found, backwards) = error or str(problem), _turn_to(look, sort, "", "")
        after = before = ""
    entries = found.entries
    is_first = not (after or before) or (backwards and not found.next)
    following = _following(found, backwards)
    kept = {**conditions, **({"sort": sort} if sort != DEFAULT_SORT else {})}
    longer = {} if found.complete else {"patient": "1"}
    previous = "" if is_first or not entries else urlencode({**kept, "before": place_of(entries[0], found.sort)})
    if backwards and not found.complete:
        previous = urlencode({**kept, **longer, "before": found.next})
    following = urlencode({**kept, **longer, "after": following}) if following else ""
    return Listing(
        chosen,
        conditions,
        entries,
        Count(0) if error else _number(found, counted, is_whole=is_first and not following),
        sort,
        headings(found.sort),
        chips(conditions, fields, sort),
        urlencode(kept),
        urlencode(kept),
        previous,
        following,
        found.note,
        found.extent.sentence(len(entries)) if found.extent else "",
        previous if backwards else following,
        error,
    )


def _number(found: Page[M], counted: Callable[[], Count], *, is_whole: bool) -> Count:
    """How many match. A page that is all there is has been counted; one with a note may have left some out."""
    if is_whole and not found.note:
        return Count(len(found.entries))
    number = counted()
    return replace(number, number=max(number.number, len(found.entries))) if number.more else number


def is_patient(query: QueryDict) -> bool:
    """Whether somebody goes on after a look that was cut short, and so waits a little longer."""
    return query.get("patient") == "1"


def _turn_to(look: Callable[[str, str], Page[M]], sort: str, after: str, before: str) -> tuple[Page[M], bool]:
    """The page behind `after`, or the one that ends at `before`; and whether it was read backwards."""
    if not before:
        return look(sort, after), False
    found = look(turned(sort), before)
    return replace(found, entries=found.entries[::-1], sort=turned(found.sort)), True


def _following(found: Page[M], backwards: bool) -> str:
    if backwards:
        return place_of(found.entries[-1], found.sort) if found.entries else ""
    return found.next


def headings_of(
    columns: Sequence[Column], conditions: Mapping[str, str], sort: str, why_not: Callable[[Column], Text]
) -> list[Heading]:
    """The headings of a list in the order `sort`."""
    headings = []
    for column in columns:
        link = direction = ""
        reason = why_not(column)
        if not reason:
            is_current = sort.lstrip("-") == column.sort.lstrip("-")
            link = urlencode({**conditions, "sort": turned(sort) if is_current else column.sort})
            if is_current:
                direction = "descending" if sort.startswith("-") is not column.reversed else "ascending"
        headings.append(Heading(column.title, column.css, link, direction, reason, column.name, column.width))
    return headings


def why_never(column: Column) -> Text:
    """Where every order has its index: why the list can't be sorted by a column, empty when it can."""
    return "" if column.sort else _NEVER


def _why_not(column: Column, conditions: Mapping[str, str], only_waiting: bool) -> Text:
    """Why the list can't be sorted by a column; empty when it can. A filter may leave few enough for any order."""
    name = column.sort.lstrip("-")
    if not name:
        return _NEVER
    if name in ("status", "priority") and (name in conditions or (only_waiting and name == "status")):
        return (
            _ALL_WAIT
            if only_waiting and name == "status"
            else (_("All of them have the same %(name)s.") % {"name": name})
        )
    if conditions or only_waiting or name not in ONLY_WAITING:
        return ""
    return _HERE_ONLY_FEW


def chips(conditions: Mapping[str, str], fields: Mapping[str, Field], sort: str = "") -> list[Chip]:
    """A chip for each condition of a filter with these `fields`; `sort` is kept while other conditions stay."""
    found = []
    for name, text in conditions.items():
        phrase = fields[name].phrase.format(text)
        rest = {other: value for other, value in conditions.items() if other != name}
        found.append(
            Chip(phrase[:1].upper() + phrase[1:], urlencode({**rest, "sort": sort} if rest and sort else rest))
        )
    return found
