"""Giving what waits its place and its time: one worker after the other, so that times follow the order of the queue.

An entry's time is that of the one before it, and what the limit needs for its cost. What comes late but is older than
others who wait, because another worker had it, goes before them, and they are moved on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from accounts.models import Metric
from spool.message.envelope import LeasedEntry
from spool.models.entry import Status
from spool.rows import rest, statements
from throttling import bounces
from throttling.counting.ledger import Held
from throttling.counting.replay import seconds_until
from throttling.counting.state import SECONDS, State, Window
from throttling.models import HeldEntry
from throttling.subjects import Charge
from throttling.wording import Reached, reason

# An entry that waits for another one, or for something that can't be told, is looked at again so soon.
SOON = timedelta(seconds=2)
# So many of those that wait behind are given new times at once; the others when it is their turn.
_MOST_MOVED = 1000
# PostgreSQL's lock for whoever gives places. Nobody holds it while he waits for anything but the database.
_LOCK = 5_713_002


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that has to wait, for what `charge` counts; `ahead` is what others go first with."""

    entry: LeasedEntry
    charge: Charge
    ahead: int = 0


@contextmanager
def turn() -> Iterator[None]:
    """A transaction in which nobody else gives places."""
    with statements.relaxed_transaction():
        if not statements.on_sqlite():
            # SQLite has one writer at a time.
            statements.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        yield


def place(
    refused: Sequence[Refused], states: Mapping[Window, State], now: datetime
) -> tuple[list[Held], dict[Window, Reached]]:
    """Until when each waits, and which limits are reached. Call it in a `turn`; the rows are the caller's to write."""
    by_window: dict[Window, list[Refused]] = {}
    for one in sorted(refused, key=lambda one: one.entry.id):
        by_window.setdefault(Window(one.charge.subject, one.charge.limit.metric), []).append(one)
    held: list[Held] = []
    reached: dict[Window, Reached] = {}
    for window, waiting in by_window.items():
        limit = waiting[0].charge.limit
        if window.metric is Metric.BOUNCES:
            found = bounces.returned(window.subject.name, limit.amount)
            until = max(found.until or now, now + SOON)
            reached[window] = Reached(window.subject, limit, found.count, until, over=True)
            held += [Held(one.entry, one.charge, until, reason(reached[window])) for one in waiting]
            continue
        state = states.get(window)
        used = state.used if state is not None else limit.amount
        times, has_queue = _times(window, waiting, state, now)
        # One that only lets others go first is not over the limit.
        is_over = has_queue or any(used + one.charge.cost > limit.amount for one in waiting)
        last = max(times.values())
        shown = Reached(window.subject, limit, used, last, over=is_over)
        if is_over:
            reached[window] = shown
        held += [Held(one.entry, one.charge, times[one.entry.id], reason(shown)) for one in waiting]
    return held, reached


def _times(
    window: Window, waiting: Sequence[Refused], state: State | None, now: datetime
) -> tuple[dict[int, datetime], bool]:
    """When each of one window's is looked at again, and whether others wait; those behind are moved on."""
    amount = waiting[0].charge.limit.amount
    own = [one.entry.id for one in waiting]
    queue = HeldEntry.objects.filter(kind=window.subject.kind, name=window.subject.name, metric=window.metric).exclude(
        entry_id__in=own
    )
    before = queue.filter(entry_id__lt=own[0]).order_by("-entry_id").values_list("until", flat=True).first()
    behind = list(queue.filter(entry_id__gt=own[0]).order_by("entry_id").values_list("entry_id", "cost")[:_MOST_MOVED])
    by_id = {one.entry.id: one for one in waiting}
    costs = {number: one.charge.cost for number, one in by_id.items()} | dict(behind)
    times: dict[int, datetime] = {}
    needed = 0
    with_older, ahead = _with_older(state, amount, waiting[0].ahead)
    for number in sorted(costs):
        needed += costs[number]
        is_back = number in by_id and by_id[number].entry.status == Status.THROTTLED
        if before is not None and before <= now and is_back:
            # It was taken up a moment before the one that it waits for.
            until = now
        elif before is not None:
            until = max(before, now) + timedelta(seconds=needed * SECONDS / amount)
        elif state is None or with_older is None or state.used + needed <= amount:
            # Nothing can be told, or there is room once older mail has gone.
            until = now
        else:
            until = now + timedelta(seconds=seconds_until(with_older, amount, needed + ahead))
        times[number] = max(until, now + SOON)
    _move([(number, times[number]) for number, _ in behind])
    return times, before is not None or bool(behind)


def _with_older(state: State | None, amount: int, ahead: int) -> tuple[State | None, int]:
    """The window when older mail that is not decided about has gone as far as there is room, and how much has not."""
    if state is None:
        return None, ahead
    goes = min(ahead, max(0, amount - state.used))
    return replace(state, current=state.current + goes), ahead - goes


def _move(later: Sequence[tuple[int, datetime]]) -> None:
    """Give those behind their new times: in the queue, and where they rest."""
    if not later:
        return
    statements.execute_many(
        "UPDATE throttling_heldentry SET until = %s WHERE entry_id = %s",
        [(statements.db_time(until), number) for number, until in later],
    )
    rest.postpone([(until, number) for number, until in later])
