"""The history of accounts: what was done to them, and by whom. It is a part of the record of all (base.action)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.actor import Actor
from accounts.models import AccountEvent, Login, User, WebSession
from base import action as actions_of_all

LOGIN_DAYS = 90


def record(
    actor: Actor,
    action: str,
    on: str,
    outcome: str,
    *,
    user: User | None = None,
    parameters: dict[str, Any] | None = None,
) -> AccountEvent:
    """What was done, here and in the record of all."""
    written = actions_of_all.record(actor, action, on, outcome, parameters=parameters)
    return AccountEvent.objects.create(
        at=written.at,
        actor=actor.name,
        source=actor.source,
        action=action,
        on=on[:320],
        outcome=outcome[:500],
        user=user if user is not None and not user._state.adding and user.pk is not None else None,
    )


def record_many(actor: Actor, action: str, done: Iterable[tuple[str, str, int | None]]) -> None:
    """One thing that was done to many: (on, outcome, the user's key) of each. The record of all gets none of these."""
    now = timezone.now()
    AccountEvent.objects.bulk_create(
        AccountEvent(
            at=now,
            actor=actor.name,
            source=actor.source,
            action=action,
            on=on[:320],
            outcome=outcome[:500],
            user_id=key,
        )
        for on, outcome, key in done
    )


def forget(now: datetime) -> int:
    """Remove logins that were kept long enough, and web sessions that are over; how many rows.

    Events go with the audit (spool.maintenance.retention).
    """
    logins, _ = Login.objects.filter(day__lt=(now - timedelta(days=LOGIN_DAYS)).date()).delete()
    sessions, _ = WebSession.objects.filter(expire_date__lt=now).delete()
    return logins + sessions
