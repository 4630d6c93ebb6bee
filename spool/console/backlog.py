"""The waiting queue seen from above: how long mail waits for which destination, and which errors keep it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _lazy

from base.texts import Text
from spool.delivery.shaping import domains
from spool.delivery.shaping.limits import Key, cached
from spool.models.settings import current
from spool.rows import backlog as rows

MOST_DOMAINS = 30
MOST_ERRORS = 20
# The oldest that wait are counted, up to here: a page must not read three million recipients.
MOST_ENTRIES = 10_000
KEPT_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Span:
    """A column: in the spool for at least `older` and less than `younger` (as a filter writes them)."""

    title: Text
    older: str
    younger: str
    minutes: int


SPANS = (
    Span("< 15 min", "", "15m", 0),
    Span(_lazy("15–60 min"), "15m", "1h", 15),
    Span("1–4 h", "1h", "4h", 60),
    Span("4–12 h", "4h", "12h", 240),
    Span("12–24 h", "12h", "1d", 720),
    Span(_lazy("1–2 days"), "1d", "2d", 1440),
    Span(_lazy("> 2 days"), "2d", "", 2880),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of messages, the query that lists them, and how dark it is drawn (percent)."""

    count: int
    query: str
    heat: int


@dataclass(frozen=True, slots=True)
class Row:
    """One destination."""

    domain: str
    cells: list[Cell]
    total: Cell
    # Where its mail goes, if that is known, and what limits it there in a word.
    site: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Entries whose last error is the same, particulars aside."""

    text: str
    count: int
    query: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """The map. `partial` says that only the oldest MOST_ENTRIES were counted."""

    rows: list[Row]
    more_domains: int
    errors: list[ErrorGroup]
    counted: int
    partial: bool


def backlog() -> Backlog:
    """The map as it is, or as it was a few seconds ago."""
    kept: Backlog | None = cache.get("spool.backlog")
    if kept is None:
        kept = _map(timezone.now())
        cache.set("spool.backlog", kept, KEPT_SECONDS)
    return kept


def _map(now: datetime) -> Backlog:
    edges = [now - timedelta(minutes=span.minutes) for span in SPANS[1:]]
    counted, found = rows.by_domain_and_age(edges, MOST_ENTRIES)
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * len(SPANS))
    for domain, column, number in found:
        counts[domain][column] += number
    ranked = sorted(counts.items(), key=lambda item: (-sum(item[1]), item[0]))
    most = max((number for _, numbers in ranked for number in numbers), default=0)
    groups = rows.by_error(MOST_ENTRIES, MOST_ERRORS)
    shown = ranked[:MOST_DOMAINS]
    sites = domains.sites_of([domain for domain, _ in shown])
    return Backlog(
        [_row(domain, numbers, most, sites.get(domain), now) for domain, numbers in shown],
        max(0, len(ranked) - MOST_DOMAINS),
        [ErrorGroup(text, number, urlencode({"error-group": text})) for text, number in groups],
        counted,
        counted >= MOST_ENTRIES,
    )


def _row(domain: str, numbers: list[int], most: int, site: Key | None, now: datetime) -> Row:
    cells = []
    for span, number in zip(SPANS, numbers, strict=True):
        asked = {"domain": domain, "older": span.older, "younger": span.younger}
        query = urlencode({name: value for name, value in asked.items() if value})
        cells.append(Cell(number, query, _heat(number, most)))
    total = Cell(sum(numbers), urlencode({"domain": domain}), 0)
    return Row(domain, cells, total, str(site or ""), _mark(site, now))


def _mark(site: Key | None, now: datetime) -> str:
    limits = cached().limits.get(site) if site is not None else None
    if limits is None:
        return ""
    is_active = current().adapt_pace
    if limits.suspended_until(now, is_active=is_active) is not None:
        return gettext("Suspended")
    return gettext("Slowed") if limits.is_in_force(now, is_active=is_active) else ""


def _heat(number: int, most: int) -> int:
    """From 8 to 70 percent, by magnitude: one large cell must not make all others look empty."""
    if not number or not most:
        return 0
    return 8 + round(62 * (number.bit_length() / most.bit_length()))
