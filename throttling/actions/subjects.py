"""Who is limited, by name; and who may act on whom."""

from __future__ import annotations

from django.utils.translation import gettext as _

from accounts import actions as accounts_actions
from accounts.account_actions import AccountAction
from accounts.actor import Actor as AccountsActor
from accounts.addresses import InvalidAddress, key_of
from accounts.models import STAFF, Domain, MailingList, Role, User
from base.actions.action import Refused, Target
from spool.actions import NotAllowed
from throttling import events
from throttling.subjects import Subject, SubjectKind


class NoSuchSubject(Refused):
    """Nobody of that name has or can have limits."""


class LimitAction(AccountAction):
    """Done to whoever has limits: a user, a list, a domain, a client IP."""

    kinds = tuple(SubjectKind.values)

    def require(self, actor: AccountsActor, target: Target) -> None:
        require(actor, subject_in(target))

    def suits(self, target: Target) -> bool:
        return True


def subject_in(target: Target) -> Subject:
    """The subject that a target is."""
    return Subject(SubjectKind(target.kind), target.key)


def target_of(subject: Subject) -> Target:
    """The target that a subject is."""
    return Target.of(SubjectKind(subject.kind).value, subject.name)


def find(name: str) -> Subject:
    """The user, list, domain or client IP that a name means. Raises NoSuchSubject."""
    row = _row_named(name)
    if row is not None:
        return subject_of(row)
    if events.of(Subject(SubjectKind.IP, name)).exists():
        return Subject(SubjectKind.IP, name)
    raise NoSuchSubject(_("There is no user, mailing list, domain or throttled IP address %(name)s.") % {"name": name})


def subject_of(row: User | MailingList | Domain) -> Subject:
    """The subject that a row of the accounts is."""
    if isinstance(row, Domain):
        return Subject(SubjectKind.DOMAIN, row.name)
    if isinstance(row, MailingList):
        return Subject(SubjectKind.LIST, row.address)
    return Subject(SubjectKind.USER, row.email)


def row_of(subject: Subject) -> User | MailingList | Domain:
    """Raises NoSuchSubject for a client IP, and for who is not there any more."""
    row = _row_named(subject.name) if subject.kind is not SubjectKind.IP else None
    if row is None:
        raise NoSuchSubject(_("%(subject)s is no user, mailing list or domain.") % {"subject": subject})
    return row


def require(actor: AccountsActor, subject: Subject) -> None:
    """Raises NotAllowed for whom the subject is not to be changed by."""
    if actor.role is Role.SYSTEM_ADMINISTRATOR:
        return
    own = subject.kind in (SubjectKind.USER, SubjectKind.LIST) and actor.domain and subject.domain == actor.domain
    if actor.role is not Role.DOMAIN_ADMINISTRATOR or not own:
        raise NotAllowed(_("Only a system administrator may do that; a domain administrator for users and lists."))
    staff = User.objects.filter(email=subject.name, role__in=STAFF)
    if subject.kind is SubjectKind.USER and staff.exists():
        raise NotAllowed(_("Only a system administrator may do that to somebody who works in the console."))


def _row_named(name: str) -> User | MailingList | Domain | None:
    if "@" not in name:
        return Domain.objects.filter(name=key_of(f"@{name}")[1:]).first()
    for get in (accounts_actions.get_user, accounts_actions.get_list):
        try:
            return get(name)
        except (accounts_actions.NotThere, InvalidAddress):
            continue
    return None
