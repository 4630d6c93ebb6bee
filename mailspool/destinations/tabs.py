"""The place of destinations among the tabs of the spool."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext_lazy as _lazy

from spool.console.tabs import Tab
from spool.delivery.shaping import limits
from spool.filters import Count
from spool.models.settings import current


def _limited() -> Count:
    """Those with a limit in force. Read at most every few seconds, as workers do."""
    now, is_active = timezone.now(), current().adapt_pace
    return Count(sum(one.is_in_force(now, is_active=is_active) for one in limits.cached().limits.values()))


DESTINATIONS = Tab(_lazy("Destinations"), "destinations", _limited)
