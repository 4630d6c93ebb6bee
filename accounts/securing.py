"""What is done to an account that may be in wrong hands: its status, its password. Each ends open connections too.

A change is committed first, then connections end: what a client does in between is judged by the new state. Call these
outside a transaction, or on its commit. All are written down. Each raises NotAllowed for who may not.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib.auth.password_validation import validate_password
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from accounts import directory, history
from accounts.account_actions import AccountAction, UserAction, of_domain, of_users
from accounts.actor import Actor, NotAllowed
from accounts.connections.registry import Dropped, end_quietly
from accounts.models import Domain, Status, User
from accounts.sign_in import app_passwords
from base.actions.action import After, Change, Refused, Target, WayBack, Written
from base.actions.inputs import Input
from base.actions.perform import perform
from base.texts import Text

__all__ = [
    "NotAllowed",
    "Refused",
    "Secured",
    "change_password",
    "set_domain_status",
    "set_status_of",
    "set_user_status",
]


@dataclass(frozen=True, slots=True)
class Secured:
    """What was changed, and which connections ended with it (None when none had to)."""

    changed: str
    dropped: Dropped | None = None

    @property
    def sentence(self) -> str:
        if self.dropped is None or not (self.dropped.total or self.dropped.problems):
            return self.changed
        return f"{self.changed} {self.dropped.sentence}"

    @property
    def good(self) -> bool:
        return self.dropped is None or not self.dropped.problems


_SAID = {
    Status.ENABLED: _lazy("%(who)s is enabled."),
    Status.DISABLED: _lazy("%(who)s is disabled: no login, no mail out, no mail in."),
    Status.RECEIVING: _lazy("%(who)s is set to Disable and Allow Mail: no login, no mail out; mail still arrives."),
}


class _SetStatus(AccountAction):
    """What the three have in common."""

    status: ClassVar[Status]
    kinds = ("user", "domain")
    recorded = "status"
    undoable = True
    icon = "person_off"
    # What the menu of a domain calls it, where that is not its label.
    domain_label: ClassVar[Text] = ""

    @property
    def noted(self) -> str:
        return _("Status: %(status)s") % {"status": self.status.label}

    def label_of(self, target: Target) -> str:
        return str(self.domain_label if target.kind == "domain" and self.domain_label else self.label)

    def is_due(self, target: Target) -> bool:
        return any(row.status != self.status for row in target.rows)

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        of_target = self._users if target.kind == "user" else self._domains
        return of_target(actor, target.rows)

    def _users(self, actor: Actor, users: Sequence[User]) -> Change:
        if self.status is not Status.ENABLED and any(map(actor.is_person, users)):
            raise Refused(_("You can't lock yourself out; ask another administrator."))
        directory.changed()
        # `users` may have been read long ago.
        changing = list(User.objects.filter(pk__in=[user.pk for user in users]).exclude(status=self.status))
        changing.sort(key=lambda user: user.pk)
        User.objects.filter(pk__in=[user.pk for user in changing]).update(status=self.status)
        for user in users:
            user.status = self.status
        said = _SAID[self.status] % {"who": users[0]} if len(users) == 1 else self._changed(len(changing))
        return Change(
            said,
            [status_set(user, Status(user.status), self.status) for user in changing],
            Secured(said),
            self._ending(said, users=[user.email for user in users]),
            _back([Status(user.status) for user in changing], of_users(changing)),
        )

    def _domains(self, actor: Actor, domains: Sequence[Domain]) -> Change:
        if self.status is not Status.ENABLED and any(actor.domain == domain.name for domain in domains):
            raise Refused(_("That would lock you out: you are in this domain."))
        directory.changed()
        before = dict(Domain.objects.filter(pk__in=[one.pk for one in domains]).values_list("pk", "status"))
        for domain in domains:
            domain.status = self.status
            domain.save(update_fields=["status"])
        was = [Status(before.get(domain.pk, self.status)) for domain in domains]
        said = _SAID[self.status] % {"who": domains[0].name} if len(domains) == 1 else self._changed(len(domains))
        return Change(
            said,
            [status_set(domain, one, self.status) for domain, one in zip(domains, was, strict=True)],
            Secured(said),
            self._ending(said, domains=[domain.name for domain in domains]),
            _back(was, Target("domain", tuple(domain.name for domain in domains), tuple(domains))),
        )

    def _changed(self, number: int) -> str:
        changed = ngettext("%(number)s changed to: %(status)s.", "%(number)s changed to: %(status)s.", number)
        return changed % {"number": number, "status": self.status.label}

    def _ending(self, said: str, users: Sequence[str] = (), domains: Sequence[str] = ()) -> Any:
        if self.status is Status.ENABLED:
            return None

        def end(records: Sequence[Any]) -> After:
            dropped = end_quietly(users) if users else Dropped()
            for name in domains:
                dropped += end_quietly(domain=name)
            done = Secured(said, dropped)
            return After(dropped.sentence if dropped.total or dropped.problems else "", done.good, done)

        return end


class Enable(_SetStatus):
    """Login, mail out and mail in again."""

    name, label, of_many = "enable", _lazy("Enable User"), _lazy("Enable: login, mail out and mail in again")
    domain_label = _lazy("Enable Domain")
    status = Status.ENABLED

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        if target.kind == "domain":
            return _("Its users may log in, send and receive again.")
        return _("The user may log in and send again.")


class Disable(_SetStatus):
    """No login, no mail out, no mail in."""

    name, label, of_many = (
        "disable",
        _lazy("Disable Mail and Login"),
        _lazy("Disable: no login, no mail out, no mail in"),
    )
    status = Status.DISABLED
    danger = True
    # A menu has the one that lets mail in: what arrives meanwhile is not lost.
    menu_kinds = ()

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("No login, no mail out, no mail in.")


class LetReceiveOnly(_SetStatus):
    """No login, no mail out; mail still arrives."""

    name, label = "receiving", _lazy("Disable User")
    of_many = _lazy("Disable and Allow Mail: no login, no mail out; mail still arrives")
    domain_label = _lazy("Disable Domain")
    status = Status.RECEIVING
    danger = True

    def is_due(self, target: Target) -> bool:
        return any(row.status == Status.ENABLED for row in target.rows)

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        if target.kind == "domain":
            return _(
                "Nobody in it can log in or send, and every connection of its users ends; mail for them still arrives."
                " Enable Domain takes it back."
            )
        return _(
            "The user can't log in or send, and every connection ends; mail for the user still arrives. Enable "
            "User takes it back."
        )


class ChangePassword(UserAction):
    """A new password; ends open connections."""

    name, label, icon = "password", _lazy("Change Password"), "key"
    inputs = (
        Input(
            "password",
            _lazy("New password"),
            "password",
            help=_lazy(
                "One that nobody can guess; write your own if you like. Tell it to the user by another way than mail."
            ),
            option_help="asked for, or read from standard input, when left out",
            suggest=lambda: secrets.token_urlsafe(12),
        ),
    )

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("The old password stops working at once, and every connection of the user ends.")

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {**super().parameters(given), "keep_session": given.get("keep_session", "")}

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        [user] = target.rows
        validate_password(parameters["password"], user)
        user.set_password(parameters["password"])
        user.save(update_fields=["password"])
        said = _("The password of %(user)s is changed.") % {"user": user}
        # Somebody else does it because the account may have been in wrong hands.
        ended = 0 if actor.is_person(user) else app_passwords.end_all(user)
        if ended:
            said += " " + ngettext(
                "%(number)s application password ended with it.",
                "%(number)s application passwords ended with it.",
                ended,
            ) % {"number": ended}

        def end(records: Sequence[Any]) -> After:
            dropped = end_quietly([user.email], keep_session=parameters["keep_session"])
            done = Secured(said, dropped)
            return After(dropped.sentence if dropped.total or dropped.problems else "", done.good, done)

        return Change(said, [password_set(user)], then=end)


ENABLE, DISABLE, LET_RECEIVE_ONLY, CHANGE_PASSWORD = Enable(), Disable(), LetReceiveOnly(), ChangePassword()
BY_STATUS: dict[Status, _SetStatus] = {one.status: one for one in (ENABLE, DISABLE, LET_RECEIVE_ONLY)}


def set_user_status(actor: Actor, user: User, status: Status) -> Secured:
    """Enable a user, disable, or let only receive. What is not enabled loses its connections at once.

    Raises NotAllowed, and Refused when people would lock themselves out.
    """
    return set_status_of(actor, [user], status)


def set_status_of(actor: Actor, users: Iterable[User], status: Status) -> Secured:
    """The same for many, in one transaction; all or none. Raises NotAllowed and Refused."""
    done: Secured = perform(BY_STATUS[status], actor, of_users(users)).result
    return done


def set_domain_status(actor: Actor, domain: Domain, status: Status) -> Secured:
    """Enable a domain, disable it, or let it only receive; everybody in it loses their connections when it is not
    enabled. Raises NotAllowed, and Refused when people would lock themselves out.
    """
    done: Secured = perform(BY_STATUS[status], actor, of_domain(domain)).result
    return done


def change_password(actor: Actor, user: User, password: str, *, keep_session: str = "") -> Secured:
    """A new password, that passes the password rules; whoever is in with the old one is out.

    Application passwords stay when their owner does so. When somebody else does, the account may have been in wrong
    hands, and they go too. The web session with the key `keep_session` stays. Raises NotAllowed, and ValidationError
    for a weak password.
    """
    given = {"password": password, "keep_session": keep_session}
    done: Secured = perform(CHANGE_PASSWORD, actor, of_users([user]), given).result
    return done


def status_set(row: User | Domain, before: Status, after: Status) -> Written:
    """That somebody's status was set."""
    return Written(str(row), parameters={"changed": {"status": [before, after]}}, about=row)


def password_set(user: User) -> Written:
    """That somebody has a new password."""
    return Written(user.email, about=user)


def record_status(actor: Actor, row: User | Domain, before: Status, after: Status) -> None:
    """Write down that somebody's status was set."""
    history.record(actor, "status", str(row), row=row, parameters={"changed": {"status": [before, after]}})


def record_password(actor: Actor, user: User) -> None:
    """Write down that somebody has a new password."""
    history.record(actor, "password", user.email, user=user)


def _back(was: Sequence[Status], target: Target) -> WayBack | None:
    """The way back, where all were alike."""
    statuses = set(was)
    return WayBack(BY_STATUS[statuses.pop()].name, target) if len(statuses) == 1 else None
