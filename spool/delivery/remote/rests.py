"""The rests of hosts in the database: shared by the workers of all machines, and there again after all were killed.

Read every few seconds by each worker, and only what has changed; written with the results that they come of.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.utils import timezone

from spool.delivery.remote import backoff
from spool.models.resting_host import RestingHost

Known = backoff.Known

FRESH_SECONDS: Final = 2.0
# A rest begins with as long as the last one, doubled, if that is not longer ago.
KEPT: Final = timedelta(days=1)
# What is written may be seen a little later than it says: transactions take their time, and clocks differ.
OVERLAP, SETTLED = timedelta(seconds=10), timedelta(seconds=30)
LONGEST_NAME, LONGEST_REASON = 255, 500

_looked = float("-inf")
_seen: datetime | None = None


def look() -> Sequence[Known]:
    """What has changed since the last look, which is not repeated before FRESH_SECONDS. One query at most."""
    global _looked, _seen
    if time.monotonic() - _looked < FRESH_SECONDS:
        return ()
    _looked = time.monotonic()
    now = timezone.now()
    if _seen is None:
        rows = RestingHost.objects.filter(until__gt=now - KEPT)
    else:
        rows = RestingHost.objects.filter(changed__gt=_seen - (OVERLAP if now - _seen < SETTLED else timedelta(0)))
    found = list(rows.order_by("-changed")[: backoff.MOST_KEPT])
    if found:
        _seen = found[0].changed
    return [_known(row) for row in found]


def unwritten() -> Callable[[], None] | None:
    """What writes down what others don't know yet, if there is anything. In the loop's thread, as `learn`."""
    news = backoff.news()
    return partial(write, news) if news else None


def learn(known: Sequence[Known]) -> None:
    """Take over what `look` has found."""
    if known:
        backoff.learn(known)


def write(rests: Sequence[Known]) -> None:
    """Write them down, in the caller's transaction: two queries. What others know of who waits is kept."""
    by_name = {known.name: known for known in rests if len(known.name) <= LONGEST_NAME}
    before = {row.name: row for row in RestingHost.objects.filter(name__in=list(by_name)).order_by("name")}
    rows = []
    for name in sorted(by_name):
        known, row = by_name[name], before.get(name)
        if row is not None and row.changed > known.changed:
            continue
        domains, groups = set(known.domains), set(known.error_groups)
        if row is not None and known.seconds:
            domains |= set(row.domains)
            groups |= set(row.error_groups)
        rows.append(
            RestingHost(
                name=name,
                until=known.until,
                seconds=known.seconds,
                reason=known.reason[:LONGEST_REASON].replace("\x00", ""),
                domains=sorted(domains)[: backoff.MOST_DOMAINS],
                error_groups=sorted(groups)[: backoff.MOST_TEXTS],
                changed=known.changed,
            )
        )
    RestingHost.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["until", "seconds", "reason", "domains", "error_groups", "changed"],
    )


def _known(row: RestingHost) -> Known:
    domains, groups = frozenset(row.domains), frozenset(row.error_groups)
    return Known(row.name, row.until, row.seconds, row.reason, domains, groups, row.changed)


def forget_old(now: datetime) -> None:
    """SPOOL_HOUSEKEEPING: remove what says nothing any more."""
    RestingHost.objects.filter(until__lt=now - KEPT).delete()


def forget() -> None:
    """Have all of them read again."""
    global _looked, _seen
    _looked, _seen = float("-inf"), None
