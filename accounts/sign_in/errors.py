"""What can't be done, with a sentence for whoever wanted it."""

from __future__ import annotations

from accounts.actor import Actor, NotAllowed
from accounts.models import User
from base.actions.action import Refused

__all__ = ["Refused", "require_owner"]


def require_owner(actor: Actor, user: User) -> None:
    """Raises NotAllowed for everybody else, also for an administrator in the user's place."""
    if actor.name != user.email:
        raise NotAllowed("Only the owner of the account may do that.")
