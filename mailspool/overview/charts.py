"""Charts for templates: paths in a box of WIDTH by HEIGHT, ticks in percent, and what the mouse is told of each point.

A page has some hundred points: what is the same for each of them is made here rather than by a template.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.utils import timezone
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from spool.models.entry import Status
from spool.traffic.rollup import minute_of
from spool.traffic.series import RANGES, Point, Range, percentile

WIDTH, HEIGHT = 1000, 100


@dataclass(frozen=True, slots=True)
class Line:
    """One quantity: its line, the area under it, and what it is now."""

    name: str
    tone: str
    path: str
    area: str
    now: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A label beside an axis, at `place` percent from its beginning."""

    place: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. `summary` says in words what it shows; it is empty when there is nothing to draw."""

    name: str
    title: str
    lines: list[Line]
    y: list[Tick]
    x: list[Tick]
    hovers: SafeString
    summary: str
    empty: bool


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something that is drawn: its values, oldest first, None where nothing is known."""

    name: str
    tone: str
    values: Sequence[float | None]


# The order in which statuses are stacked, and their tones.
_STATUSES = (
    (Status.WAITING, "2"),
    (Status.THROTTLED, "5"),
    (Status.DELIVERY_DELAY, "4"),
    (Status.SCHEDULED, "8"),
    (Status.VIRUS_CHECK, "6"),
    (Status.SPAM_CHECK, "3"),
    (Status.LOCAL_DELIVERY, "7"),
    (Status.REMOTE_DELIVERY, "1"),
)


def charts(points: Sequence[Point], wanted: Range) -> list[Chart]:
    """The page's charts of a range."""
    # The last point has only begun: a rate of it would be a fall that is none.
    whole = points[:-1] or points
    rate = _Format(_number, _(" a minute"), nice_top)
    moments = [_when(point.at, wanted) for point in points]
    depth = [
        Quantity(str(status.label), tone, [None if p.depth is None else p.depth.get(status.value, 0) for p in points])
        for status, tone in _STATUSES
    ]
    return [
        _chart(
            "rate",
            _("Messages per minute"),
            whole,
            moments,
            wanted,
            rate,
            [
                Quantity(_("In (taken in)"), "1", [point.received / point.minutes for point in whole]),
                Quantity(_("Out (delivered)"), "3", [point.delivered / point.minutes for point in whole]),
            ],
        ),
        _chart(
            "depth",
            _("Spool depth by status"),
            points,
            moments,
            wanted,
            _Format(_number, "", nice_top),
            [q for q in depth if any(q.values)] or depth[:1],
            stacked=True,
        ),
        _chart(
            "latency",
            _("Delivery latency"),
            whole,
            moments,
            wanted,
            _Format(seconds, "", nice_span),
            [
                Quantity(_("Median"), "1", [percentile(point.latency, 0.5) for point in whole]),
                Quantity(_("95th percentile"), "2", [percentile(point.latency, 0.95) for point in whole]),
            ],
        ),
        _chart(
            "bounces",
            _("Bounce rate"),
            whole,
            moments,
            wanted,
            _Format(lambda value: f"{_number(value)} %", "", nice_top),
            [Quantity(_("Recipients that bounced"), "8", [point.bounce_rate for point in whole])],
            at_least=5.0,
        ),
    ]


_TONES_OF_SUBMITTERS = ("5", "1", "2", "6")


def submissions(lately: Mapping[str, Sequence[int]], now: datetime) -> Chart:
    """What was handed in, minute by minute, oldest first: by some, and last by all others."""
    count = len(next(iter(lately.values())))
    points = [Point(minute_of(now) - count + 1 + number, 1) for number in range(count)]
    wanted = RANGES["1h"]
    *named, others = lately.items()
    quantities = [
        Quantity(name, tone, values) for (name, values), tone in zip(named, _TONES_OF_SUBMITTERS, strict=False)
    ]
    return _chart(
        "handed-in",
        _("Handed in per minute"),
        points,
        [_when(point.at, wanted) for point in points],
        wanted,
        _Format(_number, "", nice_top),
        [*quantities, Quantity(others[0], "4", others[1])],
        stacked=True,
        skips_zeros=True,
    )


def of_numbers(name: str, title: str, points: Sequence[Point], wanted: Range, quantities: Sequence[Quantity]) -> Chart:
    """Some quantities that are counted in each point, beside each other; the legend has what each amounts to."""
    moments = [_when(point.at, wanted) for point in points]
    chart = _chart(name, title, points, moments, wanted, _Format(_number, "", nice_top), list(quantities))
    totals = [sum(value or 0 for value in quantity.values) for quantity in quantities]
    lines = [replace(line, now=f"{total:,.0f}") for line, total in zip(chart.lines, totals, strict=True)]
    summary = f"{title}: " + "; ".join(f"{line.name} {line.now}" for line in lines)
    return replace(chart, lines=lines, summary=summary)


@dataclass(frozen=True, slots=True)
class _Format:
    text: Callable[[float], str]
    unit: str
    top: Callable[[float], float]


def _chart(
    name: str,
    title: str,
    points: Sequence[Point],
    moments: Sequence[str],
    wanted: Range,
    form: _Format,
    quantities: list[Quantity],
    *,
    stacked: bool = False,
    at_least: float = 0.0,
    skips_zeros: bool = False,
) -> Chart:
    count = len(points)
    drawn = _stacked(quantities) if stacked else [list(quantity.values) for quantity in quantities]
    known = [value for values in drawn for value in values if value is not None]
    top = form.top(max([*known, at_least]))
    lines = []
    below: Sequence[float | None] = [0.0] * count
    for quantity, values in zip(quantities, drawn, strict=True):
        newest = next((value for value in reversed(quantity.values) if value is not None), None)
        now = "–" if newest is None else form.text(newest)
        lines.append(Line(quantity.name, quantity.tone, _path(values, top), _area(values, below, top), now))
        below = values if stacked else below
    width = f"{WIDTH / count:.1f}"
    hovers = [
        f'<rect x="{number * WIDTH / count:.1f}" y="0" width="{width}" height="{HEIGHT}" class="ov-hover"><title>'
        f"{escape(_told(moments[number], number, quantities, form, skips_zeros=skips_zeros))}</title></rect>"
        for number in range(count)
    ]
    # Every part of it was made here or escaped.
    drawn_hovers = mark_safe("".join(hovers))  # noqa: S308
    y = [Tick(0, form.text(0)), Tick(50, form.text(top / 2)), Tick(100, form.text(top))]
    said = (_("%(line)s now %(value)s") % {"line": line.name, "value": line.now} for line in lines)
    summary = f"{title}: {'; '.join(said)}"
    return Chart(name, title, lines, y, _times(points, wanted), drawn_hovers, summary, empty=not any(known))


def _told(moment: str, number: int, quantities: Sequence[Quantity], form: _Format, *, skips_zeros: bool = False) -> str:
    """What is said of a point when the mouse is over it."""
    parts = [
        f"{quantity.name} {'–' if value is None else form.text(value) + form.unit}"
        for quantity in quantities
        for value in [quantity.values[number]]
        if value or not skips_zeros
    ]
    return f"{moment}: {', '.join(parts) or _('nothing')}"


def _stacked(quantities: Sequence[Quantity]) -> list[list[float | None]]:
    """Each on top of those before it."""
    sums: list[list[float | None]] = []
    below: list[float | None] = [0.0] * len(quantities[0].values)
    for quantity in quantities:
        below = [
            None if value is None else (base or 0) + value for value, base in zip(quantity.values, below, strict=True)
        ]
        sums.append(below)
    return sums


def _path(values: Sequence[float | None], top: float) -> str:
    """An SVG path, broken where nothing is known."""
    parts, pen_up = [], True
    for number, value in enumerate(values):
        if value is None:
            pen_up = True
            continue
        parts.append(f"{'M' if pen_up else 'L'}{_x(number, len(values))} {_y(value, top)}")
        # A point between two gaps would be invisible.
        if pen_up and (number + 1 == len(values) or values[number + 1] is None):
            parts.append(f"h{WIDTH / len(values) / 2:.1f}")
        pen_up = False
    return "".join(parts)


def _area(values: Sequence[float | None], below: Sequence[float | None], top: float) -> str:
    """The closed areas between a line and the one below it."""
    parts, run = [], list[int]()
    for number in range(len(values) + 1):
        if number < len(values) and values[number] is not None:
            run.append(number)
            continue
        if len(run) > 1:
            there = [f"{_x(n, len(values))} {_y(values[n] or 0, top)}" for n in run]
            back = [f"{_x(n, len(values))} {_y(below[n] or 0, top)}" for n in reversed(run)]
            parts.append("M" + "L".join([*there, *back]) + "Z")
        run = []
    return "".join(parts)


def _x(number: int, count: int) -> str:
    return f"{(number + 0.5) * WIDTH / count:.1f}"


def _y(value: float, top: float) -> str:
    return f"{HEIGHT - min(1.0, value / top) * HEIGHT:.2f}"


def nice_top(highest: float) -> float:
    """The end of an axis: 1, 2, 4, 5 or 8 times a power of ten, at least `highest`."""
    if highest <= 0:
        return 1.0
    power = 1.0
    while power > highest:
        power /= 10
    while power * 10 < highest:
        power *= 10
    return next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= highest)


def nice_span(highest: float) -> float:
    """The same for a time in seconds: a whole number of minutes or hours when it is one of those."""
    if highest <= 60:
        return next((step for step in (20.0, 40.0, 60.0) if 10 < highest <= step), nice_top(highest))
    unit = 60 if highest <= 3600 else 3600
    return next((step * unit for step in (1, 2, 4, 10, 20, 40, 60) if step * unit >= highest), nice_top(highest))


def seconds(value: float) -> str:
    """`0.2 s`, `45 s`, `12 min`, `3.5 h`."""
    if value < 60:
        return f"{_number(value)} s"
    if value < 3600:
        return f"{_number(value / 60)} min"
    return f"{_number(value / 3600)} h"


def _number(value: float) -> str:
    if value >= 10_000:
        return f"{value / 1000:,.0f} k"
    if value >= 10 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 0.1 else f"{value:.2f}"


def _times(points: Sequence[Point], wanted: Range) -> list[Tick]:
    """Five moments below the chart."""
    count = len(points)
    places = sorted({round(share * (count - 1) / 4) for share in range(5)})
    return [
        Tick(round((number + 0.5) * 100 / count, 1), _when(points[number].at, wanted, short=True)) for number in places
    ]


def _when(moment: datetime, wanted: Range, *, short: bool = False) -> str:
    local = timezone.localtime(moment)
    if wanted.minutes <= 1440:
        return f"{local:%H:%M}"
    if wanted.minutes > 43_200:
        return f"{local:%b %Y}" if short else f"{local:%Y-%m-%d}"
    return f"{local:%b} {local.day}" if short else f"{local:%b} {local.day}, {local:%H:%M}"


def sparkline(hours: Sequence[int], width: int = 96, height: int = 22) -> str:
    """The path of a row's last hours."""
    top = max([*hours, 1])
    step = width / max(1, len(hours) - 1)
    places = [f"{n * step:.1f} {height - 1 - v / top * (height - 2):.1f}" for n, v in enumerate(hours)]
    return "M" + "L".join(places)
