"""Moments and spans of time as people read them, on pages and in commands alike."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone


def exact(moment: datetime) -> str:
    """To the second, with its zone."""
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S %Z}"


def short_span(seconds: float) -> str:
    """`12 s`, `5 min`, `3 h 20 min`, `4 d 2 h`: to the nearest of the last unit, so that 30 days are `30 d`."""
    return _span(seconds, " s", " min", " h", " d")


def span(seconds: float) -> str:
    """`12 seconds`, `1 minute`, `3 hours 20 minutes`, `30 days`. Never weeks or months: limits are set in days."""
    return _span(seconds, " second", " minute", " hour", " day", plural="s")


def since(moment: datetime) -> str:
    """How long ago, in words."""
    return span((timezone.now() - moment).total_seconds())


def until(moment: datetime) -> str:
    """In what time, in words."""
    return span((moment - timezone.now()).total_seconds())


def _span(seconds: float, second: str, minute: str, hour: str, day: str, plural: str = "") -> str:
    def number(count: int, unit: str) -> str:
        return f"{count}{unit}{plural if count != 1 else ''}"

    def two(count: int, unit: str, rest: int, smaller: str) -> str:
        return f"{number(count, unit)} {number(rest, smaller)}" if rest else number(count, unit)

    whole = max(0, int(seconds))
    if whole < 60:
        return number(whole, second)
    if whole < 3600:
        return number(whole // 60, minute)
    minutes = round(whole / 60)
    if minutes < 24 * 60:
        return two(minutes // 60, hour, minutes % 60, minute)
    hours = round(whole / 3600)
    return two(hours // 24, day, hours % 24, hour)
