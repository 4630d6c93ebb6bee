"""Who may change the lists, and writing down who did: the one place."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from accounts.models import Role
from spool.actions.actor import Actor, NotAllowed
from spool.models.audit import AuditEvent


def require(actor: Actor) -> None:
    """Raises NotAllowed for all but system administrators."""
    if actor.role is not Role.SYSTEM_ADMINISTRATOR:
        raise NotAllowed("Only a system administrator may change who is let in.")


def write(actor: Actor, action: str, on: str, outcome: str, *, done: int = 1, **parameters: Any) -> AuditEvent:
    """In the transaction of the change itself: one is never there without the other."""
    return AuditEvent.objects.create(
        at=timezone.now(), actor=actor.name, source=actor.source, action=action, on=on[:2000], outcome=outcome[:500],
        parameters={name: value for name, value in parameters.items() if value not in ("", None)},
        matched=done, done=done,
    )  # fmt: skip
