"""What can't be done, with a sentence for whoever wanted it."""

from __future__ import annotations

from django.utils.translation import gettext as _

from accounts.actor import Actor, NotAllowed
from accounts.models import User
from base.actions.action import Refused

__all__ = ["Refused", "require_owner"]


def require_owner(actor: Actor, user: User) -> None:
    """Raises NotAllowed for everybody else, also for an administrator in the user's place."""
    if actor.name != user.email:
        raise NotAllowed(_("Only the owner of the account may do that."))
