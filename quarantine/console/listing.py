"""A page of quarantined messages as a list shows it: rows, headings, conditions, and where the pages beside it are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.core.cache import cache
from django.db.models import Sum
from django.http import QueryDict
from django.utils.http import urlencode

from quarantine.filters import ITEM_FIELDS, SORTS, ItemFilter, ItemPage, count, page
from quarantine.models.antispam import AntispamSettings
from quarantine.models.antivirus import AntivirusSettings
from quarantine.models.item import Item, ItemKind, ItemState
from spool.console.listing import Chip, Column, Heading, chips, turned
from spool.filters import BadFilter, Count

DEFAULT_SORT = "-id"
USAGE_SECONDS = 60

COLUMNS = (
    Column("File Name", "c-name"), Column("Date", "c-date right", "id"), Column("Sender", "c-sender"),
    Column("Recipients", "c-rcpt right"), Column("Size", "c-size right", "size_bytes"),
    Column("Attempts", "c-tries right"), Column("Time in Quarantine", "c-age right"),
    Column("Time of Removal", "c-removal right"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ItemListing:
    """All that the table and what is around it show."""

    chosen: ItemFilter
    items: list[Item]
    count: Count
    headings: list[Heading]
    chips: list[Chip]
    query: str
    first: str
    previous: str
    following: str
    error: str


@dataclass(frozen=True, slots=True)
class Usage:
    """How much the files of one quarantine take on the disk, and when that is worth a warning (bytes)."""

    size_bytes: int
    warn_bytes: int

    @property
    def too_much(self) -> bool:
        return self.size_bytes > self.warn_bytes


def listing(query: QueryDict, kind: ItemKind) -> ItemListing:
    """The page that a URL's query asks for. Never raises for what a query says."""
    error = ""
    try:
        chosen = ItemFilter.from_query(query, kind.value)
    except BadFilter as problem:
        chosen, error = ItemFilter(kind=kind.value), str(problem)
    sort = query.get("sort", DEFAULT_SORT)
    sort = sort if sort in SORTS else DEFAULT_SORT
    after, before = query.get("after", ""), query.get("before", "")
    try:
        found = page(chosen, sort=sort, after=after, before=before)
    except BadFilter as problem:
        found, error = ItemPage([]), error or str(problem)
    conditions = chosen.texts()
    kept = {**conditions, **({"sort": sort} if sort != DEFAULT_SORT else {})}
    return ItemListing(
        chosen, found.items, Count(0) if error else count(chosen), _headings(conditions, sort),
        chips(conditions, ITEM_FIELDS), urlencode(kept), urlencode(kept),
        urlencode({**kept, "before": found.previous}) if found.previous else "",
        urlencode({**kept, "after": found.next}) if found.next else "", error,
    )  # fmt: skip


def usage(kind: ItemKind) -> Usage:
    """What the quarantine takes on the disk, as it was within the last minute."""
    size: int | None = cache.get(f"quarantine.size.{kind}")
    if size is None:
        held = Item.objects.filter(kind=kind, state=ItemState.HELD)
        size = held.order_by().aggregate(total=Sum("size_bytes"))["total"] or 0
        cache.set(f"quarantine.size.{kind}", size, USAGE_SECONDS)
    return Usage(size, _warn_mb(kind) * 1024 * 1024)


def _warn_mb(kind: ItemKind) -> int:
    settings = AntispamSettings if kind is ItemKind.SPAM else AntivirusSettings
    return settings.current().warn_mb


def _headings(conditions: Mapping[str, str], sort: str) -> list[Heading]:
    headings = []
    for column in COLUMNS:
        link = direction = ""
        if column.sort:
            current = sort.lstrip("-") == column.sort
            link = urlencode({**conditions, "sort": turned(sort) if current else f"-{column.sort}"})
            if current:
                direction = "descending" if sort.startswith("-") else "ascending"
        headings.append(Heading(column.title, column.css, link, direction))
    return headings
