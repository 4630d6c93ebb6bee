"""Forgetting what was kept long enough: traces, attempts, received bounces, MTA-STS policies."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Model

from spool.models.attempt import Attempt
from spool.models.bounce import ReceivedBounce
from spool.models.mta_sts import MTASTSPolicy
from spool.models.trace import Trace

# Rows removed by one statement: no transaction grows with the size of the table.
CHUNK = 5_000


def forget_traces(now: datetime, days: int) -> int:
    """Remove traces, attempts and received bounces older than `days`; returns how many rows."""
    before = now - timedelta(days=days)
    return sum(
        _remove(model, field, before)
        for model, field in ((Trace, "ended"), (Attempt, "at"), (ReceivedBounce, "received"))
    )


def forget_policies(now: datetime) -> int:
    """Remove the MTA-STS policies whose time is over; returns how many."""
    return _remove(MTASTSPolicy, "expires", now)


def _remove(model: type[Model], field: str, before: datetime) -> int:
    removed = 0
    while True:
        ids = list(model._default_manager.filter(**{f"{field}__lt": before}).values_list("pk", flat=True)[:CHUNK])
        if not ids:
            return removed
        model._default_manager.filter(pk__in=ids).delete()
        removed += len(ids)
