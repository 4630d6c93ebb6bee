"""Recall: people take back what they have sent themselves, as far as it has not left."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.actor import NotAllowed
from accounts.models import Role, User
from spool.actions.actor import Actor
from spool.actions.perform import perform
from spool.actions.verb import Refused
from spool.models.entry import Entry

__all__ = ["Refused", "recall"]


def recall(actor: Actor, user: User, file_names: Iterable[str]) -> str:
    """Delete messages that `user` sent by logging in; says what became of them. Nobody is told.

    It is the action Delete: into the trash, where an administrator can undo it; what is on the wire is left alone; a
    recipient who has the message keeps it. Raises NotAllowed for somebody else's account, and Refused when none of
    `file_names` is a message of the user's that is still here.
    """
    if not actor.is_person(user):
        raise NotAllowed(_("You can only recall what you have sent yourself."))
    wanted = Entry.objects.filter(auth_user=user.email, file_name__in=list(file_names))
    rows = dict(wanted.values_list("id", "recipients_done"))
    if not rows:
        raise Refused(_("None of them is here any more: they have left the spool."))
    behind = Actor(actor.name, Role.SYSTEM_ADMINISTRATOR, actor.domain, actor.source)
    event = perform("delete", list(rows), behind, background=False).event
    parts = [
        ngettext("%(number)s recalled.", "%(number)s recalled.", event.done) % {"number": event.done}
        if event.done
        else _("Nothing could be recalled.")
    ]
    if event.skipped:
        parts.append(
            ngettext(
                "%(number)s being delivered just now, or already gone.",
                "%(number)s being delivered just now, or already gone.",
                event.skipped,
            )
            % {"number": event.skipped}
        )
    if event.done and any(rows.values()):
        parts.append(_("Recipients who have it already keep it."))
    return " ".join(parts)
