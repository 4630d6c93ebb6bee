"""What is looked at every few seconds (SPOOL_SWEEPS). Mail is held and counted right without it."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.utils import timezone
from redis.exceptions import RedisError

from throttling import events, guard
from throttling.counting import ledger
from throttling.holding import releases
from throttling.models import HeldEntry, ThrottleEvent

log = logging.getLogger(__name__)

_PURGE = timedelta(minutes=1)
_purged: datetime | None = None


def sweep() -> None:
    """Let go what has room earlier than was thought, end what is over, forget what counts no longer, and look for
    those who suddenly send far more than they ever did."""
    global _purged
    now = timezone.now()
    if HeldEntry.objects.exists():
        releases.forget_what_left()
        try:
            releases.wake_what_has_room(now)
        except RedisError as error:
            log.warning("Redis is away: %s", error)
    releases.wake_released(now)
    if ThrottleEvent.objects.filter(ended=None).exists():
        try:
            events.end_those_that_are_over(now)
        except RedisError as error:
            log.warning("Redis is away: %s", error)
    if _purged is None or abs(now - _purged) >= _PURGE:
        _purged = now
        ledger.purge(now)
        guard.look(now)
        guard.forget(now)
