"""The history of the whole server as charts draw it: points of equal length, those without mail included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.utils.translation import gettext_lazy as _lazy

from base.texts import Text
from spool.models.traffic import BOUNDS_SECONDS, COUNTED, LATENCY, TrafficSeries
from spool.rows import traffic_figures
from spool.traffic.rollup import minute_of


@dataclass(frozen=True, slots=True)
class Range:
    """How far a chart goes back, and how long a point of it is, in minutes."""

    name: str
    title: Text
    minutes: int
    step: int


RANGES = {
    one.name: one
    for one in (
        Range("1h", _lazy("1 hour"), 60, 1),
        Range("6h", _lazy("6 hours"), 360, 5),
        Range("24h", _lazy("24 hours"), 1440, 15),
        Range("7d", _lazy("7 days"), 10_080, 120),
        Range("30d", _lazy("30 days"), 43_200, 480),
        Range("1y", _lazy("1 year"), 525_600, 5760),
    )
}


@dataclass(slots=True)
class Point:
    """What happened in `minutes` minutes from `minute` on. `depth` is None when nobody looked."""

    minute: int
    minutes: int
    received_inbound: int = 0
    received_outbound: int = 0
    delivered_local: int = 0
    delivered_remote: int = 0
    bounced: int = 0
    latency: list[int] = field(default_factory=list)
    depth: dict[str, int] | None = None

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.minute * 60, UTC)

    @property
    def received(self) -> int:
        return self.received_inbound + self.received_outbound

    @property
    def delivered(self) -> int:
        return self.delivered_local + self.delivered_remote

    @property
    def bounce_rate(self) -> float | None:
        """Percent of the recipients that came to their end; None when none did."""
        ended = self.delivered + self.bounced
        return 100 * self.bounced / ended if ended else None


def points(wanted: Range, now: datetime) -> list[Point]:
    """The points of a range, oldest first; the last one is not over yet. Three queries, whatever the range."""
    last = minute_of(now) // wanted.step * wanted.step
    count = wanted.minutes // wanted.step
    first = last - (count - 1) * wanted.step
    found = {place: Point(first + place * wanted.step, wanted.step) for place in range(count)}
    for stretch in traffic_figures.stretches(first, wanted.step):
        if stretch.place in found:
            point = found[stretch.place]
            for name in COUNTED[: -len(LATENCY)]:
                setattr(point, name, stretch.sums[name])
            point.latency = [stretch.sums[name] for name in LATENCY]
    looks = TrafficSeries.objects.filter(minute__in=traffic_figures.last_looks(first, wanted.step)).values_list(
        "minute", "depth"
    )
    for minute, depth in looks:
        if depth and (number := (minute - first) // wanted.step) in found:
            found[number].depth = depth
    return list(found.values())


def percentile(histogram: Sequence[int], share: float) -> float | None:
    """About how many seconds `share` (0 to 1) of the deliveries took at most; None when there are none."""
    wanted = sum(histogram) * share
    if not wanted:
        return None
    below, seen = 0.0, 0
    for count, bound in zip(histogram, (*BOUNDS_SECONDS, BOUNDS_SECONDS[-1] * 2), strict=True):
        if count and seen + count >= wanted:
            return below + (bound - below) * (wanted - seen) / count
        seen += count
        below = bound
    return below
