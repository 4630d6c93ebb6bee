"""Who may change the lists, and writing down who did: the one place."""

from __future__ import annotations

from typing import Any

from accounts.models import Role
from base.action import record
from spool.actions.actor import Actor, NotAllowed


def require(actor: Actor) -> None:
    """Raises NotAllowed for all but system administrators."""
    if actor.role is not Role.SYSTEM_ADMINISTRATOR:
        raise NotAllowed("Only a system administrator may change who is let in.")


def write(actor: Actor, action: str, on: str, outcome: str, *, done: int = 1, **parameters: Any) -> None:
    """In the transaction of the change itself: one is never there without the other."""
    given = {name: value for name, value in parameters.items() if value not in ("", None)}
    record(actor, action, on, outcome, done=done, parameters=given)
