"""Links by which a domain administrator resends one message from a digest: signed, for a time, and of use once.

A link names one item and for whom it was made. It dies with the item: once a message is resent, deleted or removed
there is nothing left that it leads to, and what was resent is not caught by the spam check again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.core import signing
from django.utils.translation import gettext as _

from accounts.models import Role, User
from quarantine.actions.selection import ItemSelection
from quarantine.models.item import Item, ItemKind, ItemState
from spool.actions import Actor, Outcome, perform

# From where this was once: links that were mailed stay good.
_SALT = "quarantine.items.release"
LIFETIME = timedelta(days=30)


class LinkIsDead(Exception):
    """The link is of no use (any more); the sentence says why."""


@dataclass(frozen=True, slots=True)
class Release:
    """What a good link stands for."""

    item: Item
    user: User


def token_for(item: Item, user: User) -> str:
    return signing.dumps([item.pk, item.file_name, user.pk], salt=_SALT, compress=True)


def read(token: str) -> Release:
    """What the link stands for. Raises LinkIsDead."""
    try:
        number, name, user_id = signing.loads(token, salt=_SALT, max_age=LIFETIME)
    except signing.SignatureExpired as error:
        raise LinkIsDead(_("This link is too old.")) from error
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise LinkIsDead(_("This link is not complete, or not one of ours.")) from error
    item = Item.objects.filter(pk=number, file_name=name, state=ItemState.HELD, kind=ItemKind.SPAM).first()
    if item is None:
        raise LinkIsDead(_("The message is not in quarantine any more: it was resent, deleted, or its time was over."))
    user = User.objects.select_related("domain").filter(pk=user_id).first()
    if user is None or not _may_release(user, item):
        raise LinkIsDead(_("The person for whom this link was made may not resend this message any more."))
    return Release(item, user)


def use(token: str) -> Outcome:
    """Resend the message. Raises LinkIsDead, also for the second of two who use it at once."""
    release = read(token)
    # The link is what allows it; who used it is written down.
    actor = Actor(f"{release.user.email} (digest)", Role.SYSTEM_ADMINISTRATOR, source="digest")
    outcome = perform("quarantine-resend", ItemSelection.of([release.item.pk]), actor)
    if not outcome.event.done:
        raise LinkIsDead(_("The message is not in quarantine any more, or its file is missing."))
    return outcome


def _may_release(user: User, item: Item) -> bool:
    if not user.is_active:
        return False
    if user.role == Role.SYSTEM_ADMINISTRATOR:
        return True
    own = user.domain.name if user.domain is not None else ""
    return user.role == Role.DOMAIN_ADMINISTRATOR and bool(own) and item.sender_domain == own
