"""Contain: one action for a compromised account, one place to look at it, and the way back.

It shuts the door (no login, no mail out; mail still arrives), takes the key away (a new password), puts out who is
inside (every connection) and stops what is on its way (the steps of ACCOUNTS_CONTAIN_STEPS, which apps above plug in).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts import changes, directory, edits, history
from accounts.account_actions import UserAction, of_users
from accounts.actor import Actor
from accounts.connections.registry import end_quietly
from accounts.models import Containment, Login, Status, User
from accounts.sign_in import app_passwords
from base.actions.action import After, Change, Opening, Refused, Target, WayBack, Written
from base.actions.inputs import Input
from base.actions.perform import perform
from base.audit.models import AuditEvent
from base.facts import Fact, fact, kept, label

LOOK_BACK = timedelta(days=30)
# An address that was first seen within this time before is pointed at.
NEW_ADDRESS = timedelta(days=3)
MOST_SHOWN = 50


class Step(Protocol):
    """What an app above does for a contained account."""

    def contain(self, actor: Actor, containment: Containment) -> Fact:
        """Do it, again if need be; says what was done."""

    def undo(self, actor: Actor, containment: Containment) -> Fact:
        """Take it back; says what was."""

    def state(self, containment: Containment) -> Sequence[tuple[str, str]]:
        """How things are now: sentences, each with the URL that shows it or an empty one."""


@dataclass(frozen=True, slots=True)
class SeenLogin:
    """Logins of one day from one address; `is_new` when nothing came from it before."""

    login: Login
    is_new: bool


@dataclass(frozen=True, slots=True)
class Findings:
    """What somebody needs to judge the account."""

    events: list[AuditEvent]
    logins: list[SeenLogin]
    states: list[tuple[str, str]]


def steps() -> list[Step]:
    return [import_string(path)() for path in settings.ACCOUNTS_CONTAIN_STEPS]


class Contain(UserAction):
    """Shuts a compromised account: no login, connections ended, mail on hold."""

    name, label, icon = "contain", _lazy("Contain"), "gpp_maybe"
    danger = True
    undoable = True
    menu_kinds = ()
    inputs = (
        Input(
            "password",
            _lazy("New password"),
            "password",
            placeholder=_lazy("empty: a random one"),
            option_help="the new password; without it, a random one",
        ),
    )

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _(
            "No login and no mail out; mail for it still arrives. A new password. Every connection ends, and its mail"
            " in the spool is put on hold."
        )

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        [user] = target.rows
        password = parameters["password"]
        if actor.is_person(user):
            raise Refused(_("You can't contain yourself; ask another administrator."))
        if password:
            validate_password(password, user)
        directory.changed()
        user.refresh_from_db()
        found = Containment.objects.open().filter(user=user).first()
        containment = found or Containment(
            user=user, status_before=user.status, password_before=user.password, at=timezone.now(), actor=actor.name
        )
        user.set_password(password or secrets.token_urlsafe(24))
        user.status = Status.RECEIVING if user.status == Status.ENABLED else user.status
        user.save(update_fields=["password", "status"])
        containment.password_after = user.password
        containment.save()
        suspended = app_passwords.suspend(user, containment.at)

        def shut_the_rest(records: Sequence[AuditEvent]) -> After:
            status = label(Status(user.status).label)
            done = [
                fact("%(user)s: %(status)s, so no login and no mail out.", user=user.email, status=status),
                fact("Password changed to the one given.") if password else fact("Password reset to a random one."),
                *([fact("Application passwords are suspended (%(number)s).", number=suspended)] if suspended else []),
                *end_quietly([user.email]).facts,
            ]
            done += [step.contain(actor, containment) for step in steps()]
            containment.done = kept(done)
            containment.save(update_fields=["done"])
            [event] = records
            event.parameters = _facts(done)
            event.save(update_fields=["parameters"])
            return After(_in_words(done), result=containment)

        # Written down before the rest is tried: the account is shut from here on.
        shut = _facts([fact("Shut: no login, no mail out, a new password")])
        entry = Written(user.email, parameters=shut, about=user)
        undo = WayBack(UNCONTAIN.name, target, {"old_password": "1"})
        return Change("", [entry], containment, shut_the_rest, undo)


class Review(Opening[Actor]):
    """Reviews an account that may be compromised, and contains it from there."""

    name, label, icon = "review", _lazy("Contain account…"), "gpp_maybe"
    kinds = ("user",)

    def require(self, actor: Actor, target: Target) -> None:
        actor.require_administration()

    def place(self, target: Target) -> str:
        return reverse("admin:accounts_user_contain", args=[target.rows[0].pk])


class ContainAgain(UserAction):
    """Ends connections and holds mail that came in since the account was contained."""

    name, label, icon = "contain-again", _lazy("Hold new mail as well"), "gpp_maybe"
    effect_text = _lazy("Its connections end, and mail that came in since the account was contained is put on hold.")
    recorded = "contain"
    menu_kinds = ()
    in_transaction = False

    def is_due(self, target: Target) -> bool:
        return _is_contained(target)

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        containment = _open_of(target)
        done = end_quietly([containment.user.email]).facts
        done += [step.contain(actor, containment) for step in steps()]
        user = containment.user
        return Change(_in_words(done), [Written(user.email, parameters=_facts(done), about=user)], done)


class Uncontain(UserAction):
    """Restores access to the account, and releases its mail."""

    name, label, icon = "uncontain", _lazy("Restore access"), "lock_open"
    recorded = "undo contain"
    menu_kinds = ()
    in_transaction = False
    inputs = (
        Input(
            "old_password",
            _lazy("False alarm: restore the old password"),
            "check",
            option_help="a false alarm: restore the old password",
        ),
    )

    def is_due(self, target: Target) -> bool:
        return _is_contained(target)

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        status = _open_of(target).get_status_before_display()
        password = _("The old password is valid again.") if parameters["old_password"] else _("The new password stays.")
        return _(
            "The account has the status “%(status)s” again, and its mail on hold goes on: what must not "
            "leave has to go from the spool first. %(password)s"
        ) % {"status": status, "password": password}

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        containment, old_password = _open_of(target), parameters["old_password"]
        with transaction.atomic():
            directory.changed()
            closed = (
                Containment.objects.open()
                .filter(pk=containment.pk)
                .update(closed=timezone.now(), closed_by=actor.name, password_before="", password_after="")
            )
            if not closed:
                raise Refused(_("It was closed already."))
            user = User.objects.select_for_update().get(pk=containment.user_id)
            user.status = containment.status_before
            is_given_back = old_password and user.password == containment.password_after
            if is_given_back:
                user.password = containment.password_before
            user.save(update_fields=["status", "password"])
            resumed = app_passwords.resume(user, containment.at) if old_password else 0
        is_enabled = user.status == Status.ENABLED
        status = label(Status(user.status).label)
        done = [
            fact("%(user)s is enabled again.", user=user.email)
            if is_enabled
            else fact("%(user)s is set to %(status)s again.", user=user.email, status=status)
        ]
        if is_given_back:
            done.append(fact("The old password is valid again."))
        elif old_password:
            done.append(fact("The password was set after containing, so it stays."))
        if resumed:
            done.append(fact("Application passwords are valid again (%(number)s).", number=resumed))
        done += [step.undo(actor, containment) for step in steps()]
        containment.refresh_from_db()
        return Change(_in_words(done), [Written(user.email, parameters=_facts(done), about=user)], done)


class StopForwarding(UserAction):
    """Removes all forwarding addresses: a favourite of those who steal accounts."""

    name, label, icon = "forwarding", _lazy("Stop Forwarding"), "forward"
    recorded = "change user"
    danger = True
    menu_kinds = ()

    def is_due(self, target: Target) -> bool:
        return bool(target.rows[0].forward_to)

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("Mail of %(target)s is not forwarded any more. It goes to %(rows)s now.") % {
            "target": target,
            "rows": _forwarded(target.rows[0]),
        }

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        [user] = target.rows
        went, before = _forwarded(user), changes.stored(user)
        edits.remember(user)
        user.forward_to = ""
        edits.save(user)
        written = changes.described(before, user)
        said = _("Mail of %(user)s is not forwarded any more. It went to %(went)s.") % {"user": user, "went": went}
        return Change(said, [written] if written is not None else [], said)


CONTAIN, CONTAIN_AGAIN, UNCONTAIN, STOP_FORWARDING = Contain(), ContainAgain(), Uncontain(), StopForwarding()
REVIEW = Review()


def contain(actor: Actor, user: User, *, password: str = "") -> Containment:
    """Shut the account. Without a `password` it gets a random one. What is contained already is contained
    anew, and keeps what it was before the first time.

    Raises NotAllowed, Refused when people would contain themselves, and ValidationError for a weak password.
    """
    done: Containment = perform(CONTAIN, actor, of_users([user]), {"password": password}).result
    return done


def contain_again(actor: Actor, containment: Containment) -> str:
    """What has slipped through meanwhile: connections and mail. Says what was done. Raises NotAllowed."""
    return perform(CONTAIN_AGAIN, actor, _of(containment)).sentence


def undo(actor: Actor, containment: Containment, *, old_password: bool) -> str:
    """Open the account again: the status it had, its mail on its way; after a false alarm also the old password.

    A password that was set after containing stays in any case. Says what was done. Raises NotAllowed, and Refused
    when it was closed already.
    """
    return perform(UNCONTAIN, actor, _of(containment), {"old_password": old_password}).sentence


def stop_forwarding(actor: Actor, user: User) -> str:
    """Forward nothing any more. Says what was. Raises NotAllowed."""
    return perform(STOP_FORWARDING, actor, of_users([user])).sentence


def _of(containment: Containment) -> Target:
    """A user, with the containment that is meant."""
    return Target("user", (containment.user.email,), (containment.user, containment))


def _open_of(target: Target) -> Containment:
    """The containment that a target names, or the open one of its user. Raises Refused."""
    if len(target.rows) > 1:
        named: Containment = target.rows[1]
        return named
    found = Containment.objects.open().select_related("user").filter(user=target.rows[0]).first()
    if found is None:
        raise Refused(
            fact("%(target)s is not contained; somebody may have opened the account meanwhile.", target=str(target))
        )
    return found


def _facts(done: Iterable[Fact]) -> dict[str, Any]:
    """The parameters of a record that says what was done."""
    return {"facts": kept(done)}


def _in_words(done: Iterable[Fact]) -> str:
    return " ".join(map(str, done))


def _is_contained(target: Target) -> bool:
    return Containment.objects.open().filter(user=target.rows[0]).exists()


def _forwarded(user: User) -> str:
    return ", ".join(str(user.forward_to).split()) or _("nobody")


def review(containment: Containment, now: datetime) -> Findings:
    """What happened to the account lately, and how things are."""
    user = containment.user
    events = history.of_user(user).filter(at__gte=now - LOOK_BACK)[:MOST_SHOWN]
    states = [one for step in steps() for one in step.state(containment)]
    return Findings(list(events), logins_of(user, containment.at, now), states)


def logins_of(user: User, moment: datetime, now: datetime) -> list[SeenLogin]:
    """Recent logins, newest first; those from addresses that were new shortly before `moment` are marked."""
    rows = list(Login.objects.filter(user=user, last__gte=now - LOOK_BACK).order_by("-last")[:MOST_SHOWN])
    since = moment - NEW_ADDRESS
    known = set(Login.objects.filter(user=user, first__lt=since).values_list("ip", flat=True).distinct())
    return [SeenLogin(row, bool(known) and row.ip not in known) for row in rows]
