"""The history of accounts: what of the audit was done to them, and by whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Model, QuerySet

from accounts.actor import Actor
from accounts.models import Login, User, WebSession
from base import action as action_of_all
from base.audit.models import AuditEvent
from base.audit.results import Result
from base.audit.subjects import Subject, subject_of

LOGIN_DAYS = 90


def record(
    actor: Actor,
    action: str,
    on: str,
    outcome: str = "",
    *,
    user: User | None = None,
    row: Model | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """What was done to a user, or to another row of the accounts (base.action.record)."""
    row = user if user is not None else row
    about = subject_of(row) if row is not None else None
    return action_of_all.record(actor, action, on, outcome, parameters=parameters, about=about)


def record_many(actor: Actor, action: str, done: Iterable[tuple[Subject, Mapping[str, Any]]]) -> None:
    """One thing that was done to many, with its parameters for each. The audit's page has one line for all of them."""
    events = []
    for about, parameters in done:
        event = action_of_all.event_of(actor, action, about.key, about)
        event.parameters, event.result, event.is_part = dict(parameters), Result.DONE, True
        event.matched = event.done = 1
        events.append(event)
    AuditEvent.objects.bulk_create(events)


def of_user(user: User) -> QuerySet[AuditEvent]:
    """What was done to a user, newest first, whatever their address was then."""
    return AuditEvent.objects.filter(kind="user", row_id=user.pk).order_by("-at", "-id")


def forget(now: datetime) -> int:
    """Remove logins that were kept long enough, and web sessions that are over; how many rows.

    Events go with the audit (spool.maintenance.retention).
    """
    logins, _ = Login.objects.filter(day__lt=(now - timedelta(days=LOGIN_DAYS)).date()).delete()
    sessions, _ = WebSession.objects.filter(expire_date__lt=now).delete()
    return logins + sessions
