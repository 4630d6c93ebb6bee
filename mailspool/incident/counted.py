"""What was handed in, delivered, deferred and bounced: by five minutes of the last hour, or by hours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import key_of
from mailspool.incident.things import Thing
from mailspool.overview.charts import Chart, Quantity, of_numbers
from spool.traffic.figures import HOURS, by_minute, windows_of
from spool.traffic.rollup import HOUR, minute_of
from spool.traffic.series import RANGES, Point

STEP: Final = 5
_TONES: Final = ("1", "3", "2", "8")
SPANS: Final = {"1h": _lazy("Last hour"), "24h": _lazy("Last 24 hours")}


def chart_of(thing: Thing, span: str, now: datetime) -> Chart:
    """The chart of a span, one of SPANS. One query."""
    key = thing.key if thing.kind == "ip" else key_of(thing.key)
    kinds = {kind: [key] for some in thing.counts.values() for kind in some}
    if span == "24h":
        rows = windows_of(kinds, now)
        first = minute_of(now) // HOUR - HOURS + 1
        points = [Point((first + number) * HOUR, HOUR) for number in range(HOURS)]
        counts = {kind: list(rows[kind, key].hours) for kind in kinds}
        title = _("Per hour, last 24 hours")
    else:
        minutes = by_minute(kinds, now)
        # From a whole five minutes on, so that a bar does not change what it counts while time goes on.
        start = minute_of(now) - HOUR + 1
        skipped = -start % STEP
        counts = {kind: _by_step(minutes[kind, key][skipped:]) for kind in kinds}
        points = [Point(start + skipped + number * STEP, STEP) for number in range(len(next(iter(counts.values()))))]
        title = _("Per 5 minutes, last hour")
    quantities = [
        Quantity(_(name), tone, _sum([counts[kind] for kind in some]))
        for (name, some), tone in zip(thing.counts.items(), _TONES, strict=False)
    ]
    return of_numbers("incident", title, points, RANGES["24h" if span == "24h" else "1h"], quantities)


def _by_step(minutes: Sequence[int]) -> list[int]:
    return [sum(minutes[start : start + STEP]) for start in range(0, len(minutes), STEP)]


def _sum(parts: Sequence[Sequence[int]]) -> list[float]:
    return [float(sum(numbers)) for numbers in zip(*parts, strict=True)]
