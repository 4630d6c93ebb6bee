"""What is done to an account that may be in wrong hands: its status, its password. Each ends open connections too.

A change is committed first, then connections end: what a client does in between is judged by the new state. Call these
outside a transaction, or on its commit. All are written down. Each raises NotAllowed for who may not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.password_validation import validate_password
from django.db import transaction

from accounts import directory, history
from accounts.actor import Actor, NotAllowed
from accounts.connections.registry import Dropped, end_quietly
from accounts.models import Domain, Status, User

__all__ = [
    "NotAllowed",
    "Refused",
    "Secured",
    "change_password",
    "set_domain_status",
    "set_status_of",
    "set_user_status",
]


class Refused(Exception):
    """It can't be done as asked; the message says why."""


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


_SAID = {
    Status.ENABLED: "{} is enabled.",
    Status.DISABLED: "{} is disabled: no login, no mail out, no mail in.",
    Status.RECEIVING: "{} is set to Disable and Allow Mail: no login, no mail out; mail still arrives.",
}


def set_user_status(actor: Actor, user: User, status: Status) -> Secured:
    """Enable a user, disable, or let only receive. What is not enabled loses its connections at once.

    Raises NotAllowed, and Refused when people would lock themselves out.
    """
    return set_status_of(actor, [user], status)


def set_status_of(actor: Actor, users: Iterable[User], status: Status) -> Secured:
    """The same for many, in one transaction; all or none. Raises NotAllowed and Refused."""
    users = list(users)
    for user in users:
        actor.require_user(user)
        if status is not Status.ENABLED and actor.is_person(user):
            raise Refused("You can't lock yourself out; ask another administrator.")
    # `users` may have been read long ago.
    changing = list(User.objects.filter(pk__in=[user.pk for user in users]).exclude(status=status).order_by("pk"))
    with transaction.atomic():
        directory.changed()
        User.objects.filter(pk__in=[user.pk for user in changing]).update(status=status)
        for user in changing:
            record_status(actor, user, Status(user.status), status)
    for user in users:
        user.status = status
    said = _SAID[status].format(users[0]) if len(users) == 1 else f"{len(changing)} changed to: {status.label}."
    dropped = None if status is Status.ENABLED else end_quietly(user.email for user in users)
    return Secured(said, dropped)


def set_domain_status(actor: Actor, domain: Domain, status: Status) -> Secured:
    """Enable a domain, disable it, or let it only receive; everybody in it loses their connections when it is not
    enabled. Raises NotAllowed, and Refused when people would lock themselves out.
    """
    actor.require_administration()
    if status is not Status.ENABLED and actor.domain == domain.name:
        raise Refused("That would lock you out: you are in this domain.")
    with transaction.atomic():
        before = Domain.objects.filter(pk=domain.pk).values_list("status", flat=True).first()
        domain.status = status
        domain.save(update_fields=["status"])
        record_status(actor, domain, Status(before or status), status)
    dropped = None if status is Status.ENABLED else end_quietly(domain=domain.name)
    return Secured(_SAID[status].format(domain.name), dropped)


def change_password(actor: Actor, user: User, password: str, *, keep_session: str = "") -> Secured:
    """A new password, that passes the password rules; whoever is in with the old one is out.

    The web session with the key `keep_session` stays. Raises NotAllowed, and ValidationError for a weak password.
    """
    actor.require_user(user)
    validate_password(password, user)
    user.set_password(password)
    with transaction.atomic():
        user.save(update_fields=["password"])
        record_password(actor, user)
    dropped = end_quietly([user.email], keep_session=keep_session)
    return Secured(f"The password of {user} is changed.", dropped)


def record_status(actor: Actor, row: User | Domain, before: Status, after: Status) -> None:
    """Write down that somebody's status was set."""
    user = row if isinstance(row, User) else None
    said = f"Status: {after.label}" if before == after else f"Status: {before.label} → {after.label}"
    history.record(actor, "status", str(row), said, user=user, parameters={"changed": {"status": [before, after]}})


def record_password(actor: Actor, user: User) -> None:
    """Write down that somebody has a new password."""
    history.record(actor, "password", user.email, "The password was changed", user=user)
