"""How much each quarantine takes on the disk, as it was when somebody last added it up."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from django.db import Error as DatabaseError
from django.db import models
from django.db.models import Count, Sum
from django.utils import timezone

from quarantine.models.antispam import AntispamSettings
from quarantine.models.antivirus import AntivirusSettings
from quarantine.models.item import Item, ItemKind, ItemState

log = logging.getLogger(__name__)

# The scheduler adds up so often; a page does it itself when nobody has done so for much longer.
RENEW_EVERY: Final = timedelta(minutes=1)
STALE_AFTER: Final = timedelta(minutes=10)


class QuarantineSize(models.Model):
    """One quarantine. Adding up hundreds of thousands of messages is nothing to do while a page is waited for."""

    kind = models.CharField(max_length=5, choices=ItemKind, primary_key=True)
    items = models.PositiveBigIntegerField(default=0)
    size_bytes = models.PositiveBigIntegerField(default=0)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind}: {self.size_bytes} bytes"


def size_of(kind: ItemKind, now: datetime | None = None, *, within: timedelta = STALE_AFTER) -> QuarantineSize:
    """What is known of one quarantine, added up anew when it is older than `within`."""
    now = now or timezone.now()
    known = QuarantineSize.objects.filter(kind=kind).first()
    if known is not None and now - within < known.at <= now:
        return known
    return add_up(kind, now)


def warn_bytes(kind: ItemKind) -> int:
    """Above so much the settings want a warning."""
    settings = AntispamSettings if kind is ItemKind.SPAM else AntivirusSettings
    return settings.current().warn_mb * 1024 * 1024


def add_up(kind: ItemKind, now: datetime) -> QuarantineSize:
    """Add up one quarantine, along an index that has all that it takes."""
    held = Item.objects.filter(state=ItemState.HELD, kind=kind).order_by()
    sums = held.aggregate(items=Count("id"), size_bytes=Sum("size_bytes", default=0))
    try:
        return QuarantineSize.objects.update_or_create(kind=kind, defaults={**sums, "at": now})[0]
    except DatabaseError as error:
        # A page that only shows it must not fail because the disk is full.
        log.warning("the size of the quarantine could not be written down: %s", error)
        return QuarantineSize(kind=kind, **sums, at=now)
