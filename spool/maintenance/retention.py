"""Forgetting what was kept long enough: traces, attempts, received bounces, MTA-STS policies, audit."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import PROTECT, Exists, Model, OuterRef, QuerySet

from accounts.models import AccountEvent
from base.audit.models import AuditEvent
from spool.models.attempt import Attempt
from spool.models.bounce import ReceivedBounce
from spool.models.bulkjob import OPEN, BulkJob
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


def forget_audit(now: datetime, days: int) -> int:
    """Remove what was written down of actions and accounts more than `days` ago; returns how many rows.

    What can still be undone, or goes on, keeps its line.
    """
    before = now - timedelta(days=days)
    ended = BulkJob.objects.filter(event__at__lt=before).exclude(state__in=OPEN)
    lapsed = AuditEvent.objects.filter(at__lt=before)
    for relation in AuditEvent._meta.related_objects:
        # Whoever protects a line: the trash, open jobs, what is in quarantine.
        if relation.on_delete is PROTECT:
            lapsed = lapsed.exclude(
                Exists(relation.related_model._base_manager.filter(**{relation.field.name: OuterRef("pk")}))
            )
    return _remove_chunks(ended) + _remove_chunks(lapsed) + _remove(AccountEvent, "at", before)


def _remove(model: type[Model], field: str, before: datetime) -> int:
    return _remove_chunks(model._default_manager.filter(**{f"{field}__lt": before}))


def _remove_chunks(rows: QuerySet) -> int:
    removed = 0
    while ids := list(rows.order_by().values_list("pk", flat=True)[:CHUNK]):
        rows.model._default_manager.filter(pk__in=ids).delete()
        removed += len(ids)
    return removed
