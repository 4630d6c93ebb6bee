"""A page of entries as a list shows it: what was asked for, the rows, and where the pages beside it are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from django.http import QueryDict

from spool.filters import FIELDS, SORTS, BadFilter, Count, Page, SpoolFilter, count, page
from spool.models import Entry, Status

DEFAULT_SORT = "-id"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table. `sort` is what its heading sorts by; the age runs against the ids."""

    title: str
    css: str
    sort: str = ""
    reversed: bool = False


COLUMNS = (
    Column("Filename", "c-name"), Column("Spool Path", "c-path wide"), Column("Sender", "c-sender"),
    Column("Recipients", "c-rcpt right"), Column("Size", "c-size right", "size_bytes"),
    Column("Attempts", "c-tries right", "attempts"), Column("Time in Spool", "c-age right", "id", True),
    Column("Priority", "c-prio"), Column("Status", "c-status"), Column("Next Attempt", "c-next right", "next_attempt"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's heading: a link when the list can be sorted by it."""

    title: str
    css: str
    link: str
    direction: str


@dataclass(frozen=True, slots=True)
class Chip:
    """One condition of the filter, and the link that takes it away."""

    words: str
    without: str


@dataclass(frozen=True, slots=True)
class Listing:
    """All that the table and what is around it show. `error` says what is wrong with the filter in the URL."""

    chosen: SpoolFilter
    entries: list[Entry]
    count: Count
    sort: str
    headings: list[Heading]
    chips: list[Chip]
    query: str
    first: str
    previous: str
    following: str
    note: str
    complete: bool
    error: str


def listing(query: QueryDict, *, only_waiting: bool) -> Listing:
    """The page that a URL's query asks for. Never raises for what a query says."""
    error = ""
    try:
        chosen = SpoolFilter.from_query(query)
    except BadFilter as problem:
        chosen, error = SpoolFilter(), str(problem)
    conditions = {name: text for name, text in chosen.texts().items() if not (only_waiting and name == "status")}
    if only_waiting:
        chosen = replace(chosen, status=Status.WAITING.value)
    sort = query.get("sort", DEFAULT_SORT)
    if sort not in SORTS:
        sort = DEFAULT_SORT
    after, before = query.get("after", ""), query.get("before", "")
    try:
        found, backwards = _page(chosen, sort, after, before)
    except BadFilter as problem:
        error, (found, backwards) = error or str(problem), _page(chosen, sort, "", "")
        after = before = ""
    entries = found.entries
    is_first = not (after or before) or (backwards and not found.next)
    following = _following(found, sort, backwards)
    kept = {**conditions, **({"sort": sort} if sort != DEFAULT_SORT else {})}
    sortable = only_waiting or bool(conditions)
    return Listing(
        chosen, entries, Count(0) if error else count(chosen), sort, _headings(conditions, sort, sortable=sortable),
        _chips(conditions, sort), _encoded(kept), _encoded(kept),
        "" if is_first or not entries else _encoded({**kept, "before": _cursor(entries[0], sort)}),
        _encoded({**kept, "after": following}) if following else "", found.note, found.complete, error,
    )  # fmt: skip


def _page(chosen: SpoolFilter, sort: str, after: str, before: str) -> tuple[Page, bool]:
    """The page behind `after`, or the one that ends at `before`; and whether it was read backwards."""
    if not before:
        return page(chosen, sort=sort, after=after), False
    found = page(chosen, sort=_turned(sort), after=before)
    return replace(found, entries=found.entries[::-1]), True


def _following(found: Page, sort: str, backwards: bool) -> str:
    if backwards:
        return _cursor(found.entries[-1], sort) if found.entries else ""
    return found.next


def _turned(sort: str) -> str:
    return sort[1:] if sort.startswith("-") else f"-{sort}"


def _cursor(entry: Entry, sort: str) -> str:
    """The place of an entry in a list, as spool.filters.page reads it."""
    column = sort.lstrip("-")
    if column == "id":
        return str(entry.pk)
    value = getattr(entry, column)
    text = int(value.timestamp() * 1_000_000) if isinstance(value, datetime) else value
    return f"{text}.{entry.pk}"


def _headings(conditions: Mapping[str, str], sort: str, *, sortable: bool) -> list[Heading]:
    headings = []
    for column in COLUMNS:
        link = direction = ""
        if column.sort and (sortable or column.sort == "id"):
            current = sort.lstrip("-") == column.sort
            link = _encoded({**conditions, "sort": _turned(sort) if current else f"-{column.sort}"})
            if current:
                direction = "descending" if sort.startswith("-") is not column.reversed else "ascending"
        headings.append(Heading(column.title, column.css, link, direction))
    return headings


def _chips(conditions: Mapping[str, str], sort: str) -> list[Chip]:
    chips = []
    for name, text in conditions.items():
        words = FIELDS[name].words.format(text)
        rest = {other: value for other, value in conditions.items() if other != name}
        chips.append(Chip(words[:1].upper() + words[1:], _encoded({**rest, "sort": sort} if rest else rest)))
    return chips


def _encoded(values: Mapping[str, str]) -> str:
    query = QueryDict(mutable=True)
    query.update(dict(values))
    return query.urlencode()
