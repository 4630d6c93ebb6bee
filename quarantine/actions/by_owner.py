"""What people do with messages of their own, or of the domain that they administer, that were quarantined as spam.

A user releases them, or asks for it where the settings say so; a domain administrator releases and deletes. What a
virus was found in, and what others have sent or get as well, is left to system administrators.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.account_actions import of_users
from accounts.actor import NotAllowed
from accounts.addresses import key_of
from accounts.models import Role, User
from accounts.models.spam import UsersRelease
from base.action import record
from base.actions.action import SingleAction
from base.actions.perform import perform as act
from base.audit.subjects import Subject
from quarantine.actions.listed import ALLOW_SENDER, BLOCK_SENDER
from quarantine.actions.selection import ItemSelection
from quarantine.models.antispam import AntispamSettings
from quarantine.models.item import Item, ItemKind, ItemState
from spool.actions import Actor, Refused, perform
from spool.message import authors
from spool.message.header import LONGEST_HEADER, Header
from spool.models.entry import Direction
from spool.ownership import Ownership

GONE = _lazy("The message is not in quarantine any more.")


def ownership_of(user: User) -> Ownership:
    """What somebody's hand reaches: a whole domain, or their own mail."""
    return Ownership.of_domain(user)


def sees(owner: Ownership, item: Item) -> bool:
    """Whether an item is from or to these."""
    return has_sent(owner, item) or any(map(owner.gets, _addresses(item)))


def has_sent(owner: Ownership, item: Item) -> bool:
    """Whether an item was sent by these. Who is blocked by its recipient is not told of it."""
    return not item.blocked_by and owner.has_sent(
        item.auth_user, item.sender, is_outbound=item.direction == Direction.OUTBOUND
    )


def may_handle(user: User, item: Item) -> bool:
    """Whether it may be released at all by whom it belongs to, or on their behalf."""
    owner = ownership_of(user)
    # What somebody has handed in by logging in is theirs, and not its recipients' as well, unless they block them.
    is_got = bool(item.blocked_by) or not item.auth_user
    is_theirs = has_sent(owner, item) or (is_got and all(map(owner.gets, _addresses(item))))
    return item.kind == ItemKind.SPAM and is_theirs and item.state == ItemState.HELD


def must_ask(user: User, item: Item) -> bool:
    """Whether this person asks for a release instead of doing it. What only their own list has kept back is theirs."""
    if user.role == Role.DOMAIN_ADMINISTRATOR or item.blocked_by == user.email:
        return False
    of_domain = user.domain.users_release if user.domain is not None else ""
    return (of_domain or AntispamSettings.current().users_release) == UsersRelease.ASK


def release(actor: Actor, user: User, item: Item) -> str:
    """Back into the spool; says what came of it. Raises NotAllowed, and Refused when it is gone."""
    _require(actor, user, item)
    if must_ask(user, item):
        raise NotAllowed(_("Ask for it: your administrators release what was quarantined."))
    return _done("quarantine-resend", actor, item)


def delete(actor: Actor, user: User, item: Item) -> str:
    """Out of quarantine, for a domain administrator. Raises NotAllowed, and Refused when it is gone."""
    _require(actor, user, item)
    if user.role != Role.DOMAIN_ADMINISTRATOR:
        raise NotAllowed(_("Only an administrator of the domain may do that."))
    return _done("quarantine-delete", actor, item)


def release_and_allow(actor: Actor, user: User, item: Item) -> str:
    """Back into the spool, and its sender on the list of those whom the user allows. Raises NotAllowed and Refused."""
    _require(actor, user, item)
    if not may_list(user, item):
        raise NotAllowed(_("Only the sender of what came to your own mailbox can be allowed."))
    said = release(actor, user, item)
    return f"{said} {_list(ALLOW_SENDER, actor, user, item)}"


def block(actor: Actor, user: User, item: Item) -> str:
    """Its sender on the list of those whom the user blocks; the message stays. Raises NotAllowed and Refused."""
    if not actor.is_person(user) or not may_list(user, item):
        raise NotAllowed(_("Nobody blocks themselves, nor for others."))
    return _list(BLOCK_SENDER, actor, user, item)


def may_list(user: User, item: Item) -> bool:
    """Whether it came to the user's own mailbox from somebody who can be allowed or blocked."""
    owner = Ownership.of_person(user)
    is_got = any(map(owner.gets, _addresses(item))) and not has_sent(owner, item)
    return is_got and author_of(item) not in ("", user.email)


def author_of(item: Item) -> str:
    """Whom a user sees as its sender: the one address in From, or else that of the envelope."""
    try:
        with item.source.open("rb") as file:
            [author] = authors.of_from(Header.of(file.read(LONGEST_HEADER)))
    except (FileNotFoundError, authors.Unclear, ValueError):
        author = item.sender
    return key_of(author)


def _list(action: SingleAction[Any], actor: Actor, user: User, item: Item) -> str:
    return act(action, actor, of_users([user]), {"sender": author_of(item)}).sentence


def ask(actor: Actor, user: User, item: Item) -> str:
    """Ask the administrators to release it; once is enough. Raises NotAllowed, and Refused when it is gone."""
    _require(actor, user, item)
    with transaction.atomic():
        held = Item.objects.filter(pk=item.pk, state=ItemState.HELD)
        if not held.filter(asked_at=None).update(asked_at=timezone.now(), asked_by=user.email):
            if held.exists():
                return _("It has been asked for already.")
            raise Refused(GONE)
        record(actor, "request release", item.file_name, about=Subject("message", item.file_name))
    return _("Your administrators are asked to release it.")


def _require(actor: Actor, user: User, item: Item) -> None:
    if not actor.is_person(user) or not may_handle(user, item):
        raise NotAllowed(_("Only a system administrator may do that."))


def _done(verb: str, actor: Actor, item: Item) -> str:
    # Whose it is was looked at; the action itself is one of system administrators.
    behind = Actor(actor.name, Role.SYSTEM_ADMINISTRATOR, actor.domain, actor.source)
    event = perform(verb, ItemSelection.of([item.pk]), behind, background=False).event
    if not event.done:
        raise Refused(GONE)
    return _("It is on its way again.") if verb == "quarantine-resend" else _("It is deleted.")


def _addresses(item: Item) -> list[str]:
    return item.addresses.splitlines()
