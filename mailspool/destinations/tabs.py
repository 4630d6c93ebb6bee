"""The place of destinations among the tabs of the spool."""

from __future__ import annotations

from django.utils import timezone

from spool.console.tabs import Tab
from spool.delivery.shaping import limits
from spool.filters import Count


def _limited() -> Count:
    """Sites with a limit; workers and pages read them every few seconds anyway."""
    now = timezone.now()
    found = limits.cached().limits.values()
    return Count(sum(one.suspended_until(now) is not None or one.rate() is not None for one in found))


DESTINATIONS = Tab("Destinations", "destinations", _limited)
