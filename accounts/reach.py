"""How far the hand of each role reaches in the console: the one table of it.

A role has rights; a page asks for one to be looked at and for one to be sent something, an action on messages for one
to be done. What stands in no table is for system administrators alone, so that a new page, or one of a plug-in, is
closed until somebody says here whom it is for. The user site, where people see what is their own and domain
administrators what is their domain's, looks at neither: its limits are the rows that belong to somebody
(`accounts.actor`, `mailspool.portal.access`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from accounts.models.sign_in import SignInSettings
from accounts.models.users import Role

if TYPE_CHECKING:
    from accounts.models.users import User


class Right(StrEnum):
    """What a role may do in the console."""

    # Pages of mail, of what holds it back, and of users.
    LOOK = "look"
    # What stands in messages, rather than their envelope and header. A setting gives it to who may look.
    READ = "read"
    # Force, retry, hold, and release.
    HANDLE = "handle"
    ADMINISTER = "administer"


_NONE: Final = frozenset[Right]()
ROLES: Final[Mapping[str, frozenset[Right]]] = {
    Role.SYSTEM_ADMINISTRATOR: frozenset(Right),
    Role.HELP_DESK: frozenset({Right.LOOK, Right.HANDLE}),
    Role.READ_ONLY: frozenset({Right.LOOK}),
    Role.DOMAIN_ADMINISTRATOR: _NONE,
    Role.USER: _NONE,
}

# By the name of a page's URL: what it takes to look at it, and to send it something.
_LOOK: Final = (Right.LOOK, Right.ADMINISTER)
_READ: Final = (Right.READ, Right.ADMINISTER)
_HANDLE: Final = (Right.LOOK, Right.HANDLE)
PAGES: Final[Mapping[str, tuple[Right, Right]]] = {
    "admin:index": _LOOK,
    "overview_behind": _LOOK,
    # What goes on, and about whom; what is said to an alert is for administrators.
    "attention": _LOOK,
    "attention_alert": _LOOK,
    "admin:spool_alertevent_changelist": _LOOK,
    "incident": _LOOK,
    "admin:spool_entry_changelist": _LOOK,
    "admin:spool_entry_waiting": _LOOK,
    "admin:spool_entry_backlog": _LOOK,
    "destinations": _LOOK,
    "destination": _LOOK,
    "mail_reports": _LOOK,
    "mail_reports_domain": _LOOK,
    "machines": _LOOK,
    "admin:spool_entry_change": _LOOK,
    "admin:spool_entry_message": _LOOK,
    "admin:spool_entry_recipients": _LOOK,
    "admin:spool_entry_content": _READ,
    "admin:spool_entry_preview": _READ,
    "admin:spool_entry_source": _READ,
    "admin:spool_entry_download": _READ,
    # Which action it is, is asked for besides: VERBS.
    "admin:spool_entry_dialog": _HANDLE,
    "admin:spool_entry_perform": _HANDLE,
    "admin:spool_entry_job": _LOOK,
    "admin:spool_entry_cancel_job": _HANDLE,
    "admin:spool_entry_save_view": _HANDLE,
    "admin:spool_entry_forget_view": _HANDLE,
    # How a list looks to this person.
    "admin:spool_entry_save_layout": (Right.LOOK, Right.LOOK),
    # What of it there is, is asked for besides: VERBS.
    "messages_menu": _LOOK,
    "admin:spool_trace_changelist": _LOOK,
    "admin:quarantine_item_changelist": _LOOK,
    "admin:quarantine_item_spam": _LOOK,
    "admin:quarantine_item_virus": _LOOK,
    "admin:quarantine_item_message": _LOOK,
    "admin:quarantine_item_content": _READ,
    "admin:quarantine_item_preview": _READ,
    "admin:quarantine_item_source": _READ,
    "admin:quarantine_item_dialog": _HANDLE,
    "admin:quarantine_item_perform": _HANDLE,
    # Whom a user allows and blocks.
    "listed_senders": _HANDLE,
    "admin:throttling_throttleevent_changelist": _LOOK,
    "admin:throttling_throttleevent_users": _LOOK,
    "admin:throttling_throttleevent_domains": _LOOK,
    "admin:accounts_user_changelist": _LOOK,
    "admin:accounts_user_change": _LOOK,
    # The frame of the console itself.
    "admin:login": (Right.LOOK, Right.LOOK),
    "admin:password_change": _LOOK,
    "admin:logout": (Right.LOOK, Right.LOOK),
    "admin:jsi18n": _LOOK,
    "admin:app_list": _LOOK,
    # It finds what this person opens. Unfold's own lies behind it, at the same address.
    "search": _LOOK,
}

# Actions on messages (spool.actions, quarantine.actions) by name; all others are for administrators.
VERBS: Final[Mapping[str, Right]] = {
    "force": Right.HANDLE,
    "reset": Right.HANDLE,
    "hold": Right.HANDLE,
    "release": Right.HANDLE,
    "quarantine-resend": Right.HANDLE,
}
# Of those, inputs that reach further than the message: whom everybody's spam check trusts, what its engines learn.
INPUTS: Final[Mapping[str, frozenset[str]]] = {"quarantine-resend": frozenset({"trust", "learn"})}

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def has(role: str, right: Right) -> bool:
    """Whether a role has a right; who works at the user site has none."""
    if right is Right.READ and Right.LOOK in ROLES[role] and Right.READ not in ROLES[role]:
        return SignInSettings.current().helpers_read_content
    return right in ROLES[role]


def opens(user: User, url_name: str, method: str = "GET") -> bool:
    """Whether the console answers this person there. What is not active has no reach at all."""
    if not user.is_active:
        return False
    look, send = PAGES.get(url_name, (Right.ADMINISTER, Right.ADMINISTER))
    return has(user.role, look if method in _SAFE else send)


def right_for(verb: str) -> Right:
    """What it takes to do an action on messages."""
    return VERBS.get(verb, Right.ADMINISTER)


def inputs_beyond(verb: str, role: str) -> frozenset[str]:
    """The inputs of an action that this role does not give."""
    return _NONE_OF if has(role, Right.ADMINISTER) else INPUTS.get(verb, _NONE_OF)


_NONE_OF: Final = frozenset[str]()
