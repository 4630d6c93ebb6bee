"""New addresses of ours send only so much a day to each receiver (SourceAddress.allowed_on): counted by all workers.

Each worker takes its part of what is left, and adds what it has used to the table with whatever else it writes; the
table is read every few seconds, and only while an address is new. Where none is, nothing is asked or counted.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from django.db import Error as DatabaseError
from django.db.models import F

from base.short_cache import ShortCache
from spool.delivery.shaping.limits import Key
from spool.models.source_address import SourceAddress, SourceDay

FRESH_SECONDS: Final = 2.0
# What a worker's own part does not cover is looked at again soon: others may have left some.
AGAIN: Final = timedelta(seconds=15)
KEPT: Final = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Plan:
    """What new addresses may send to each receiver on a day, and what they have sent, as it was read."""

    day: date = date.min
    allowed: Mapping[str, int] = field(default_factory=dict)
    sent: Mapping[Key, int] = field(default_factory=dict)

    @property
    def ends(self) -> datetime:
        """When the next day begins."""
        return datetime.combine(self.day + timedelta(days=1), time(), UTC)


NO_PLAN: Final = Plan()


class Allowances:
    """What one worker may send from new addresses. `later` has something called in a transaction soon."""

    def __init__(self, later: Callable[[Callable[[], None]], None] | None = None) -> None:
        self._later = later
        self.plan = NO_PLAN
        self._share = 1
        # Since the table was read.
        self._used: Counter[Key] = Counter()
        self._batches: list[_Batch] = []
        self._lock = threading.Lock()

    def configure(self, plan: Plan, share: int) -> None:
        """The table as it is now; `share` is how many workers there are."""
        self._share = share
        if plan is not self.plan:
            self.plan = plan
            with self._lock:
                # What is on its way to the table is not in it, and what began to be written may not be.
                self._batches = [batch for batch in self._batches if not batch.is_settled]
                self._used = sum((batch.found for batch in self._batches), Counter())
                for batch in self._batches:
                    batch.is_settled = batch.is_begun

    def spent(self, key: Key) -> datetime | None:
        """Until when an address sends nothing more to a receiver; None: it does."""
        allowed = self.plan.allowed.get(key.source)
        if allowed is None:
            return None
        left = allowed - self.plan.sent.get(key, 0)
        if left <= 0:
            return self.plan.ends
        if self._used[key] < math.ceil(left / self._share):
            return None
        return min(self.plan.ends, datetime.now(UTC) + AGAIN)

    def take(self, key: Key) -> None:
        """A message is sent."""
        if key.source not in self.plan.allowed:
            return
        self._used[key] += 1
        if self._later is None:
            return
        with self._lock:
            if not self._batches or self._batches[-1].is_begun or self._batches[-1].day != self.plan.day:
                self._batches.append(_Batch(self.plan.day, self._lock))
                self._later(self._batches[-1].write)
            self._batches[-1].found[key] += 1


class _Batch:
    """What is added to the table together. Called again when its transaction failed."""

    def __init__(self, day: date, lock: threading.Lock) -> None:
        self.day = day
        self.found: Counter[Key] = Counter()
        self.is_begun = self.is_settled = False
        self._lock = lock

    def write(self) -> None:
        with self._lock:
            self.is_begun = True
        add(self.found, self.day)


def add(found: Mapping[Key, int], day: date) -> None:
    """Add to the table, in the caller's transaction: in one order, whoever writes."""
    for key, number in sorted(found.items(), key=lambda one: (one[0].source, one[0].site)):
        rows = SourceDay.objects.filter(day=day, source=key.source, site=key.site)
        if not rows.update(sent=F("sent") + number):
            SourceDay.objects.bulk_create([SourceDay(day=day, source=key.source, site=key.site)], ignore_conflicts=True)
            rows.update(sent=F("sent") + number)


def read() -> Plan:
    """One query, and another one while an address is new."""
    today = datetime.now(UTC).date()
    allowed = {}
    for row in SourceAddress.objects.filter(enabled=True, warm_up_since__isnull=False):
        if (number := row.allowed_on(today)) is not None:
            allowed[row.address] = number
    if not allowed:
        return NO_PLAN
    rows = SourceDay.objects.filter(day=today, source__in=list(allowed)).values_list("site", "source", "sent")
    return Plan(today, allowed, {Key(site, source): sent for site, source, sent in rows})


_cache = ShortCache(FRESH_SECONDS, read, outlasts=(DatabaseError,), name="warm-ups of source addresses")


def cached() -> Plan:
    """Read at most every FRESH_SECONDS by each process. May query: not for event loops."""
    return _cache.current()


def forget() -> None:
    _cache.forget()


def forget_old(now: datetime) -> None:
    """SPOOL_HOUSEKEEPING: days that are long over."""
    SourceDay.objects.filter(day__lt=(now - KEPT).date()).delete()
