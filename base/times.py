"""Moments and spans of time as people read them, on pages, in mail and in commands alike, in the language that is
active."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import ngettext, pgettext


def exact(moment: datetime) -> str:
    """To the second, with its zone."""
    return date_format(timezone.localtime(moment), "DATETIME_FORMAT")


def to_the_minute(moment: datetime) -> str:
    """With its zone."""
    return date_format(timezone.localtime(moment), "MINUTE_FORMAT")


def short_span(seconds: float) -> str:
    """`12 s`, `5 min`, `3 h 20 min`, `4 d 2 h`: to the nearest of the last unit, so that 30 days are `30 d`."""
    second, minute, hour, day = short_units()
    return _span(
        seconds,
        lambda count: f"{count} {second}",
        lambda count: f"{count} {minute}",
        lambda count: f"{count} {hour}",
        lambda count: f"{count} {day}",
    )


def short_units() -> tuple[str, str, str, str]:
    """What stands behind seconds, minutes, hours and days where there is little room."""
    return (
        pgettext("seconds, short", "s"),
        pgettext("minutes, short", "min"),
        pgettext("hours, short", "h"),
        pgettext("days, short", "d"),
    )


def span(seconds: float) -> str:
    """`12 seconds`, `1 minute`, `3 hours 20 minutes`, `30 days`. Never weeks or months: limits are set in days."""
    return _span(seconds, of_seconds, of_minutes, of_hours, of_days)


def of_seconds(count: int) -> str:
    """`1 second`, `2 seconds`."""
    return ngettext("%(count)s second", "%(count)s seconds", count) % {"count": count}


def of_minutes(count: int) -> str:
    """`1 minute`, `2 minutes`."""
    return ngettext("%(count)s minute", "%(count)s minutes", count) % {"count": count}


def of_hours(count: int) -> str:
    """`1 hour`, `2 hours`."""
    return ngettext("%(count)s hour", "%(count)s hours", count) % {"count": count}


def of_days(count: int) -> str:
    """`1 day`, `2 days`."""
    return ngettext("%(count)s day", "%(count)s days", count) % {"count": count}


def since(moment: datetime) -> str:
    """How long ago, in words."""
    return span((timezone.now() - moment).total_seconds())


def until(moment: datetime) -> str:
    """In what time, in words."""
    return span((moment - timezone.now()).total_seconds())


_Unit = Callable[[int], str]


def _span(seconds: float, second: _Unit, minute: _Unit, hour: _Unit, day: _Unit) -> str:
    def two(count: int, unit: _Unit, rest: int, smaller: _Unit) -> str:
        return f"{unit(count)} {smaller(rest)}" if rest else unit(count)

    whole = max(0, int(seconds))
    if whole < 60:
        return second(whole)
    if whole < 3600:
        return minute(whole // 60)
    minutes = round(whole / 60)
    if minutes < 24 * 60:
        return two(minutes // 60, hour, minutes % 60, minute)
    hours = round(whole / 3600)
    return two(hours // 24, day, hours % 24, hour)
