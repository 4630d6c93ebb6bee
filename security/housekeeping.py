"""SPOOL_HOUSEKEEPING: what is over is kept for a month, so that one can see what there was, and then forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta

from security import lists, login_protection
from security.models import BlacklistEntry

KEPT_DAYS = 30


def forget(now: datetime) -> None:
    """Remove expired blacklist entries and login blocks, and counts that are too old to matter."""
    login_protection.forget(now)
    expired = BlacklistEntry.objects.filter(expires_at__lt=now - timedelta(days=KEPT_DAYS))
    if expired.exists():
        lists.changed()
        expired.delete()
