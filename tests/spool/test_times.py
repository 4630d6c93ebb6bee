"""Moments and spans of time in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from base import times

DAY = 86_400


@pytest.mark.parametrize(
    ("seconds", "short", "words"),
    [
        (0, "0 s", "0 seconds"),
        (1, "1 s", "1 second"),
        (59.9, "59 s", "59 seconds"),
        (60, "1 min", "1 minute"),
        (3599, "59 min", "59 minutes"),
        (3600, "1 h", "1 hour"),
        (12_000, "3 h 20 min", "3 hours 20 minutes"),
        (DAY, "1 d", "1 day"),
        (4 * DAY + 7200, "4 d 2 h", "4 days 2 hours"),
        (30 * DAY, "30 d", "30 days"),
        (30 * DAY - 5, "30 d", "30 days"),
        (365 * DAY, "365 d", "365 days"),
        (-5, "0 s", "0 seconds"),
    ],
)
def test_a_span_is_in_the_units_in_which_it_was_set(seconds: float, short: str, words: str) -> None:
    assert (times.short_span(seconds), times.span(seconds)) == (short, words)


def test_the_time_of_removal_in_30_days_is_in_30_days() -> None:
    assert times.until(timezone.now() + timedelta(days=30)) == "30 days"


def test_a_moment_names_its_zone() -> None:
    moment = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    assert times.exact(moment) == "2026-07-01 12:00:00 UTC"
    with timezone.override("Europe/Berlin"):
        assert times.exact(moment) == "2026-07-01 14:00:00 CEST"
