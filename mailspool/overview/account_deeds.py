"""What a row's menu does to accounts: managing, passwords, connections, status. Two-way with the pages of Accounts."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from django.core.exceptions import ValidationError
from django.urls import reverse

from accounts import connections, securing
from accounts.addresses import key_of
from accounts.models import Status, User
from mailspool.overview.deeds import Deed, Done, Item, Question, Refused, Target
from spool.actions import Actor

# The tables whose keys may be accounts that are acted on.
_ACCOUNTS = ("account", "recipient")


def _user(target: Target) -> User | None:
    return User.objects.select_related("domain").filter(email=key_of(target.key)).first() if target.key else None


def _existing(target: Target) -> User:
    user = _user(target)
    if user is None:
        raise Refused(f"{target.key} is no account any more.")
    return user


def _is_account(target: Target) -> bool:
    return target.table.subject in _ACCOUNTS and key_of(target.key) in target.known.statuses


def links(target: Target) -> list[Item]:
    """The entries that lead to pages of Accounts: taking the user's place, and containing a compromised account."""
    user = _user(target) if _is_account(target) else None
    if user is None:
        return []
    items = []
    if not user.is_system_administrator:
        items.append(
            Item("Manage User", "switch_account", post_to=reverse("hijack:acquire"), values={"user_pk": str(user.pk)})
        )
    if target.table.subject == "account":
        items.append(Item("Contain account…", "gpp_maybe", link=reverse("admin:accounts_user_contain", args=[user.pk])))
    return items


class ChangePassword(Deed):
    """A new password; who is in with the old one is out."""

    name, icon = "password", "key"

    def offered(self, target: Target) -> bool:
        return _is_account(target)

    def label(self, target: Target) -> str:
        return "Change Password"

    def question(self, target: Target) -> Question:
        return Question(
            "Change Password",
            "The old password stops working at once, and every connection of the user ends.",
            "Change Password",
            password=secrets.token_urlsafe(12),
        )

    def do(self, actor: Actor, target: Target, given: Mapping[str, str]) -> Done:
        try:
            return Done(securing.change_password(actor, _existing(target), given.get("password", "")).sentence)
        except ValidationError as error:
            raise Refused(" ".join(error.messages)) from error
        except securing.Refused as error:
            raise Refused(str(error)) from error


class DropConnections(Deed):
    """Every connection of the user, by whatever protocol."""

    name, icon = "drop", "link_off"

    def offered(self, target: Target) -> bool:
        return _is_account(target)

    def label(self, target: Target) -> str:
        return "Drop Connections"

    def question(self, target: Target) -> Question:
        return Question(
            "Drop Connections",
            "Every connection of the user ends now: SMTP, also in the middle of a message, web, IMAP and POP. The user "
            "may connect again.",
            "Drop Connections",
            danger=True,
        )

    def do(self, actor: Actor, target: Target, given: Mapping[str, str]) -> Done:
        dropped = connections.drop(actor, user=_existing(target))
        return Done(dropped.sentence, good=not dropped.problems)


class SetStatus(Deed):
    """Disable and Allow Mail, or enable again."""

    name, icon = "status", "person_off"

    def offered(self, target: Target) -> bool:
        # A sender of our own is stopped by this, and by no block on what comes in.
        return target.table.subject in ("account", "sender") and key_of(target.key) in target.known.statuses

    def _is_enabled(self, target: Target) -> bool:
        return target.known.statuses.get(key_of(target.key)) == Status.ENABLED

    def label(self, target: Target) -> str:
        return "Disable User" if self._is_enabled(target) else "Enable User"

    def question(self, target: Target) -> Question:
        if self._is_enabled(target):
            return Question(
                "Disable User",
                "The user can't log in or send, and every connection ends; mail for the user still arrives. Enable "
                "User takes it back.",
                "Disable User",
                danger=True,
                wanted="disable",
            )
        return Question("Enable User", "The user may log in and send again.", "Enable User", wanted="enable")

    def do(self, actor: Actor, target: Target, given: Mapping[str, str]) -> Done:
        wanted = Status.ENABLED if given.get("wanted") == "enable" else Status.RECEIVING
        try:
            return Done(securing.set_user_status(actor, _existing(target), wanted).sentence)
        except securing.Refused as error:
            raise Refused(str(error)) from error
