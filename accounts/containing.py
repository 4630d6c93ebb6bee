"""Contain: one action for an account that seems to be in wrong hands, one place to look at it, and the way back.

It shuts the door (no login, no mail out; mail still arrives), takes the key away (a new password), puts out who is
inside (every connection) and stops what is on its way (the steps of ACCOUNTS_CONTAIN_STEPS, which apps above plug in).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts import changes, directory, edits, history
from accounts.actor import Actor
from accounts.connections.registry import end_quietly
from accounts.models import AccountEvent, Containment, Login, Status, User
from accounts.securing import Refused

LOOK_BACK = timedelta(days=30)
# An address that was first seen within this time before is pointed at.
NEW_ADDRESS = timedelta(days=3)
MOST_SHOWN = 50


class Step(Protocol):
    """What an app above does for a contained account."""

    def contain(self, actor: Actor, containment: Containment) -> str:
        """Do it, again if need be; says what was done."""

    def undo(self, actor: Actor, containment: Containment) -> str:
        """Take it back; says what was."""

    def state(self, containment: Containment) -> Sequence[tuple[str, str]]:
        """How things are now: sentences, each with the URL that shows it or an empty one."""


@dataclass(frozen=True, slots=True)
class SeenLogin:
    """Logins of one day from one address; `is_new` when nothing came from it before."""

    login: Login
    is_new: bool


@dataclass(frozen=True, slots=True)
class Review:
    """What somebody needs to judge the account."""

    events: list[AccountEvent]
    logins: list[SeenLogin]
    states: list[tuple[str, str]]


def steps() -> list[Step]:
    return [import_string(path)() for path in settings.ACCOUNTS_CONTAIN_STEPS]


def contain(actor: Actor, user: User, *, password: str = "") -> Containment:
    """Shut the account. Without a `password` it gets one that nobody knows. What is contained already is contained
    anew, and keeps what it was before the first time.

    Raises NotAllowed, Refused when people would contain themselves, and ValidationError for a weak password.
    """
    actor.require_user(user)
    if actor.is_person(user):
        raise Refused("You can't contain yourself; ask another administrator.")
    if password:
        validate_password(password, user)
    with transaction.atomic():
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
    # Written down before the rest is tried: the account is shut from here on.
    event = history.record(actor, "contain", user.email, "Shut: no login, no mail out, a new password", user=user)
    done = [
        f"{user}: {user.get_status_display()}, so no login and no mail out.",
        f"The password is {'the new one that was given' if password else 'one that nobody knows'}.",
        end_quietly([user.email]).sentence,
    ]
    done += [step.contain(actor, containment) for step in steps()]
    containment.done = done
    containment.save(update_fields=["done"])
    event.outcome = " ".join(done)[:500]
    event.save(update_fields=["outcome"])
    return containment


def contain_again(actor: Actor, containment: Containment) -> str:
    """What has slipped through meanwhile: connections and mail. Says what was done. Raises NotAllowed."""
    actor.require_user(containment.user)
    done = [end_quietly([containment.user.email]).sentence]
    done += [step.contain(actor, containment) for step in steps()]
    text = " ".join(done)
    history.record(actor, "contain", containment.user.email, text, user=containment.user)
    return text


def undo(actor: Actor, containment: Containment, *, old_password: bool) -> str:
    """Open the account again: the status it had, its mail on its way; after a false alarm also the old password.

    A password that was set after containing stays in any case. Says what was done. Raises NotAllowed, and Refused
    when it was closed already.
    """
    actor.require_user(containment.user)
    with transaction.atomic():
        directory.changed()
        closed = (
            Containment.objects.open()
            .filter(pk=containment.pk)
            .update(closed=timezone.now(), closed_by=actor.name, password_before="", password_after="")
        )
        if not closed:
            raise Refused("It was closed already.")
        user = User.objects.select_for_update().get(pk=containment.user_id)
        user.status = containment.status_before
        is_given_back = old_password and user.password == containment.password_after
        if is_given_back:
            user.password = containment.password_before
        user.save(update_fields=["status", "password"])
    is_enabled = user.status == Status.ENABLED
    done = [f"{user} is enabled again." if is_enabled else f"{user} is set to {user.get_status_display()} again."]
    if is_given_back:
        done.append("The old password is valid again.")
    elif old_password:
        done.append("The password was set after containing, so it stays.")
    done += [step.undo(actor, containment) for step in steps()]
    text = " ".join(done)
    history.record(actor, "undo contain", user.email, text, user=user)
    containment.refresh_from_db()
    return text


def stop_forwarding(actor: Actor, user: User) -> str:
    """Forward nothing any more: a favourite of those who steal accounts. Says what was. Raises NotAllowed."""
    actor.require_user(user)
    went = ", ".join(str(user.forward_to).split())
    edits.remember(user)
    user.forward_to = ""
    changes.save(actor, user)
    return f"Mail of {user} is not forwarded any more. It went to {went}."


def review(containment: Containment, now: datetime) -> Review:
    """What happened to the account lately, and how things are."""
    user = containment.user
    events = AccountEvent.objects.filter(user=user, at__gte=now - LOOK_BACK).order_by("-id")[:MOST_SHOWN]
    states = [one for step in steps() for one in step.state(containment)]
    return Review(list(events), logins_of(user, containment.at, now), states)


def logins_of(user: User, moment: datetime, now: datetime) -> list[SeenLogin]:
    """Recent logins, newest first; those from addresses that were new shortly before `moment` are marked."""
    rows = list(Login.objects.filter(user=user, last__gte=now - LOOK_BACK).order_by("-last")[:MOST_SHOWN])
    since = moment - NEW_ADDRESS
    known = set(Login.objects.filter(user=user, first__lt=since).values_list("ip", flat=True).distinct())
    return [SeenLogin(row, bool(known) and row.ip not in known) for row in rows]
