"""Who may change the lists, and what is written down of it: the one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import Role
from base.actions.action import SingleAction, Target, Written
from base.audit.subjects import Subject
from base.phrases import first_few
from spool.actions.actor import Actor, NotAllowed

MOST_NAMED = 20
# What the actions are done to.
_KINDS = {
    "blacklist": "blacklist entry",
    "unblacklist": "blacklist entry",
    "whitelist": "whitelist entry",
    "unwhitelist": "whitelist entry",
    "smtp-block": "SMTP block",
    "unsmtp-block": "SMTP block",
    "login-block": "login block",
    "login-release": "login block",
}


class SecurityAction(SingleAction[Actor]):
    """For system administrators alone."""

    def require(self, actor: Actor, target: Target) -> None:
        require(actor)


def require(actor: Actor) -> None:
    """Raises NotAllowed for all but system administrators."""
    if actor.role is not Role.SYSTEM_ADMINISTRATOR:
        raise NotAllowed(_("Only a system administrator may change who is let in."))


def written(action: str, names: Sequence[object], row_id: int | None = None, **parameters: Any) -> Written:
    """The record of a change; `names` are what it was done to. Parameters that say nothing are left out."""
    given = {name: value for name, value in parameters.items() if value not in ("", None)}
    about = Subject(_KINDS[action], str(names[0]), row_id) if len(names) == 1 else None
    on = first_few(names, MOST_NAMED)
    return Written(on, done=len(names), parameters=given, about=about, action=action)
