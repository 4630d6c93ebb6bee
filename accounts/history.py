"""Writing down what was done to accounts, and by whom: the one place. Others may listen to it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.dispatch import Signal
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import AccountEvent, Login, User, WebSession

LOGIN_DAYS = 90

# Sent with `event` and `actor` after an AccountEvent was written.
recorded = Signal()


def record(actor: Actor, action: str, on: str, outcome: str, *, user: User | None = None) -> AccountEvent:
    """What was done, in the words of the audit."""
    event = AccountEvent.objects.create(
        at=timezone.now(), actor=actor.name, source=actor.source, action=action, on=on[:320], outcome=outcome[:500],
        user=user if user is not None and user.pk is not None else None,
    )  # fmt: skip
    recorded.send(sender=AccountEvent, event=event, actor=actor)
    return event


def record_many(actor: Actor, action: str, done: Iterable[tuple[str, str, int | None]]) -> None:
    """One thing that was done to many: (on, outcome, the user's key) of each. Whoever listens gets none of these."""
    now = timezone.now()
    AccountEvent.objects.bulk_create(
        AccountEvent(
            at=now, actor=actor.name, source=actor.source, action=action, on=on[:320], outcome=outcome[:500],
            user_id=key,
        )
        for on, outcome, key in done
    )  # fmt: skip


def forget(now: datetime) -> int:
    """Remove logins that were kept long enough, and web sessions that are over; how many rows.

    Events go with the audit (spool.maintenance.retention).
    """
    logins, _ = Login.objects.filter(day__lt=(now - timedelta(days=LOGIN_DAYS)).date()).delete()
    sessions, _ = WebSession.objects.filter(expire_date__lt=now).delete()
    return logins + sessions
