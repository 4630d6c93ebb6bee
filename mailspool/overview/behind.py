"""The deliveries behind a number: those in the trace that were counted in one window of one key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q

from mailspool.overview.tables import Table, Window
from spool.models import Trace
from spool.models.recipient import Kind, Outcome
from spool.rows.traffic_batches import LIST, NO_DELIVERIES
from spool.traffic.rollup import DAY, HOUR, minute_of, window_start

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Some of them, newest first; `after` is where the next page begins."""

    traces: list[Trace]
    since: datetime | None
    after: str


def deliveries(table: Table | None, kind: Kind, key: str, window: Window, now: datetime, after: str = "") -> Deliveries:
    """The page behind `after`. Without a table: all deliveries of that kind."""
    wanted = Q(outcome=Outcome.DELIVERED, kind=kind)
    if kind is Kind.LOCAL:
        by_sender = table is not None and table.subject in ("sender", "domain")
        wanted &= ~Q(host__in=[host for host in NO_DELIVERIES if not (by_sender and host == LIST)])
    since = beginning(window, now)
    if since is not None:
        wanted &= Q(ended__gte=since)
    found = Trace.objects.filter(wanted)
    if place := _place(after):
        ended, pk = place
        found = found.filter(ended__lte=ended).filter(Q(ended__lt=ended) | Q(ended=ended, pk__lt=pk))
    rows: list[Trace] = []
    for condition in table.behind(key) if table is not None else (Q(),):
        rows += found.filter(condition).order_by("-ended", "-id")[: PAGE_SIZE + 1]
    rows.sort(key=lambda trace: (trace.ended, trace.pk), reverse=True)
    shown = rows[:PAGE_SIZE]
    more = f"{int(shown[-1].ended.timestamp() * 1_000_000)}.{shown[-1].pk}" if len(rows) > PAGE_SIZE else ""
    return Deliveries(shown, since, more)


def beginning(window: Window, now: datetime) -> datetime | None:
    """The moment at which a window's first bucket begins; None for everything."""
    if window.minutes is None:
        return None
    minute = minute_of(now)
    first = window_start(minute, window.minutes)
    # A day is counted by whole hours: those that reach into it.
    return datetime.fromtimestamp((first // HOUR * HOUR if window.minutes == DAY else first) * 60, UTC)


def _place(after: str) -> tuple[datetime, int] | None:
    moment, _, pk = after.partition(".")
    if not (moment.isascii() and moment.isdigit() and pk.isascii() and pk.isdigit() and len(after) < 40):
        return None
    whole, micro = divmod(int(moment), 1_000_000)
    try:
        return datetime.fromtimestamp(whole, UTC) + timedelta(microseconds=micro), int(pk)
    except (OverflowError, OSError, ValueError):
        return None
