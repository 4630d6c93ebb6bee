"""Adding up, by one process at a time: rows of TrafficBatch go, buckets, totals and series grow, in one transaction.

A process that dies in the middle has done nothing; the next one does it. `TrafficTotal.day` is at any moment the sum of
the buckets that there are: a bucket that goes is taken off it in the same statement.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import DataError, IntegrityError, close_old_connections, connection, transaction
from django.db import Error as DatabaseError
from django.db.models import Count
from django.utils import timezone

from spool.models.entry import Entry
from spool.models.traffic import COUNTED, WHOLE, TrafficSeries, TrafficState, TrafficTotal
from spool.rows import statements, traffic_sums
from spool.rows.traffic_sums import Bucket
from spool.traffic.sums import Sums, add_up

log = logging.getLogger(__name__)

ROLL_SECONDS: Final = 2.0
# Batches in one transaction.
CHUNK: Final = 250
HOUR: Final = 60
DAY: Final = 1440
# How long minutes and hours of the series are kept, and totals of keys that are not seen any more, in minutes.
SERIES_MINUTES: Final = 2 * DAY
SERIES_HOURS: Final = 3 * 365 * DAY
TOTALS: Final = 400 * DAY
# Buckets that expire in one transaction.
EXPIRED: Final = 2_000
# What is wrong with a batch itself, as another version or a plug-in may have written it.
_UNFIT: Final = (DataError, IntegrityError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
_IDLE: Final = timedelta(seconds=10)


def run(stop: threading.Event) -> None:
    """Add up every ROLL_SECONDS until `stop`: a thread of the scheduler."""
    while not stop.wait(ROLL_SECONDS):
        try:
            close_old_connections()
            roll_up()
        except DatabaseError as error:
            log.error("traffic could not be added up, trying again: %s", error)
            connection.close()
        except Exception:  # the edge of the thread: it must not end before its process
            log.exception("traffic could not be added up", extra={"seldom": True})
            connection.close()
    connection.close()


def roll_up() -> bool:
    """Add up everything that is there; False when another process is at it. Raises django.db.Error."""
    while True:
        now = timezone.now()
        with statements.write_transaction():
            if not traffic_sums.is_ours():
                return False
            taken = traffic_sums.take_batches(CHUNK)
            if taken:
                _add(taken)
            state = _state(now)
            if taken or now - state.rolled > _IDLE:
                state.rolled = now
                state.save(update_fields=["rolled"])
        if len(taken) < CHUNK:
            break
    minute = minute_of(now)
    if state.tidied != minute:
        _sample(minute)
        tidy(minute)
        TrafficState.objects.filter(pk=state.pk).update(tidied=minute)
    return True


def minute_of(moment: datetime) -> int:
    """Minutes since 1970."""
    return int(moment.timestamp()) // 60


def _state(now: datetime) -> TrafficState:
    state, _ = TrafficState.objects.get_or_create(pk=1, defaults={"since": now, "rolled": now})
    return state


def _add(taken: Sequence[str]) -> None:
    """Add batches to what there is. One that can't be added is left out: it would be in the way of all after it."""
    try:
        with transaction.atomic():
            _store(add_up(taken))
        return
    except _UNFIT as error:
        log.error("%d batches of traffic could not be added up together: %r", len(taken), error)
    for payload in taken:
        try:
            with transaction.atomic():
                _store(add_up([payload]))
        except _UNFIT:
            log.exception("traffic that can't be added up is left out: %.500r", payload)


def _store(sums: Sums) -> None:
    traffic_sums.add([Bucket(*key, number) for key, number in sorted(sums.counts.items())])
    traffic_sums.grow(1, sums.series)


def _sample(minute: int) -> None:
    """Write down how full the spool is."""
    counted = dict(Entry.objects.order_by().values_list("status").annotate(number=Count("id")))
    with statements.write_transaction():
        row, _ = TrafficSeries.objects.get_or_create(span=1, minute=minute)
        row.depth = counted
        row.save(update_fields=["depth"])


def tidy(minute: int) -> None:
    """Make hours of minutes that no window needs any more, and let go of what is too old; in small transactions."""
    while _compact_counts(window_start(minute, HOUR)):
        pass
    while _expire_counts(window_start(minute, DAY) - HOUR):
        pass
    with statements.write_transaction():
        if traffic_sums.is_ours():
            _compact_series((minute - SERIES_MINUTES) // HOUR * HOUR)
    if minute % DAY == 0:
        TrafficSeries.objects.filter(span=HOUR, minute__lt=minute - SERIES_HOURS).delete()
        TrafficTotal.objects.exclude(key=WHOLE).filter(day=0, seen__lt=minute - TOTALS).delete()


def window_start(minute: int, minutes: int) -> int:
    """The first bucket of a window of so many minutes that ends in `minute`: all that reach into it are in."""
    return minute - minutes


def _compact_counts(before: int) -> bool:
    """Add the oldest minute of those before `before` to the buckets of its hour; False when there is none."""
    with statements.write_transaction():
        return traffic_sums.is_ours() and traffic_sums.make_hour_of_oldest_minute(before)


def _expire_counts(until: int) -> bool:
    """Let some hours go that begin at `until` or earlier: they have left the last 24 hours. False when none is left."""
    with statements.write_transaction():
        return traffic_sums.is_ours() and traffic_sums.expire_hours(until, EXPIRED)


def _compact_series(before: int) -> None:
    """Make hours of the minutes before `before`, a whole hour. Of the depth the last look of each hour stays."""
    hours: dict[int, Counter[str]] = {}
    depths: dict[int, dict[str, int]] = {}
    for row in TrafficSeries.objects.filter(span=1, minute__lt=before).order_by("minute"):
        hour = row.minute // HOUR * HOUR
        hours.setdefault(hour, Counter()).update({name: getattr(row, name) for name in COUNTED})
        depths[hour] = row.depth or depths.get(hour, {})
    traffic_sums.grow(HOUR, hours)
    for hour, depth in depths.items():
        TrafficSeries.objects.filter(span=HOUR, minute=hour).update(depth=depth)
    TrafficSeries.objects.filter(span=1, minute__lt=before).delete()
