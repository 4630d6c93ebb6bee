"""What administrators do about limits: one function each, for page and command alike. Each is written down.

System administrators reach everybody; domain administrators the users and lists of their domain, not its own limits.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from redis.exceptions import RedisError

from accounts import actions as accounts_actions
from accounts import securing
from accounts.addresses import InvalidAddress, key_of
from accounts.fields import HOURLY, HOURLY_OF_DOMAINS, excesses
from accounts.models import Domain, MailingList, Metric, Role, Status, User
from accounts.models.limits import MB
from spool.actions import Actor, NotAllowed, audit
from spool.actions.verb import Tally
from spool.events.actions import MOST_LINES, done_by
from spool.flow import doorbell
from spool.models.entry import Entry
from spool.rows import statements
from throttling import bounces, events, notices
from throttling.counting import ledger, limits, windows
from throttling.counting.state import Window
from throttling.holding import releases
from throttling.models import HeldEntry
from throttling.subjects import Subject, SubjectKind
from throttling.wording import amount

log = logging.getLogger(__name__)

_FIELD_OF = {
    Metric.MESSAGES: "messages_per_hour",
    Metric.BANDWIDTH: "bandwidth_mb_per_hour",
    Metric.RECIPIENTS: "recipients_per_hour",
    Metric.BOUNCES: "bounces_per_hour",
}


class NoSuchSubject(Exception):
    """Nobody of that name has or can have limits."""


class NothingToRelease(Exception):
    """Nothing waits, and nothing is counted against a limit."""


@dataclass(frozen=True, slots=True)
class Released:
    """What a release did, or would do."""

    subject: Subject
    messages: int
    events: int

    @property
    def sentence(self) -> str:
        went = "1 message goes" if self.messages == 1 else f"{self.messages:,} messages go"
        return f"{self.subject} is released: {went} now, and counting begins anew."


def find(name: str) -> Subject:
    """The user, list, domain or client IP that a name means. Raises NoSuchSubject."""
    row = _row_named(name)
    if row is not None:
        return subject_of(row)
    if events.of(Subject(SubjectKind.IP, name)).exists():
        return Subject(SubjectKind.IP, name)
    raise NoSuchSubject(f"There is no user, mailing list, domain or throttled IP address {name}.")


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
        raise NoSuchSubject(f"{subject} is no user, mailing list or domain.")
    return row


def release(actor: Actor, subject: Subject, *, dry_run: bool = False) -> Released:
    """Have all that waits for a subject go now, and begin to count anew. Raises NotAllowed, NothingToRelease.

    What goes by this counts for nobody. With `dry_run` nothing is done but said.
    """
    _require(actor, subject)
    lasting = events.of(subject)
    waiting = HeldEntry.objects.filter(kind=subject.kind, name=subject.name)
    released = Released(subject, waiting.count(), lasting.count())
    if not released.messages and not released.events and not _is_counted(subject):
        raise NothingToRelease(f"{subject} is not throttled: nothing waits, and nothing was counted.")
    if dry_run:
        return released
    now = timezone.now()
    event = audit.begin(actor, "throttle release", str(subject), matched=released.messages)
    with statements.write_transaction():
        names = Entry.objects.filter(id__in=waiting.values("entry_id")).values_list("file_name", flat=True)
        done_by(event, "released", list(names[:MOST_LINES]))
        count = releases.let_go(subject, now)
        ended = lasting.update(ended=now, until=now, ended_by=actor.name[:254])
        if not ended:
            events.write_down_release(subject, actor.name, now)
    ledger.forget(subject)
    _clear_counters(subject)
    doorbell.ring()
    audit.end(event, Tally(count))
    return Released(subject, count, ended)


def set_limits(actor: Actor, subject: Subject, *, dry_run: bool = False, **fields: Any) -> User | MailingList | Domain:
    """Change the limits of a user, list or domain; what waits is looked at again at once.

    With `dry_run` the row is as it would be, and nothing is written. Raises NotAllowed, NoSuchSubject, ValidationError.
    """
    _require(actor, subject)
    row = row_of(subject)
    known = HOURLY_OF_DOMAINS if isinstance(row, Domain) else HOURLY
    if unknown := sorted(fields.keys() - set(known)):
        raise NoSuchSubject(f"{subject} has no limit {unknown[0]}; there are {', '.join(known)}.")
    _require_within(actor, subject, fields)
    if dry_run:
        for name, value in fields.items():
            setattr(row, name, value)
        row.full_clean()
        return row
    accounts_actions.change(row, actor=actor, action="throttle set", **fields)
    bounces.forget()
    _wake(subject)
    return row


def raise_limit(actor: Actor, subject: Subject, metric: Metric, number: int) -> User | MailingList | Domain:
    """A new limit, in messages, MB, recipients or bounces, that must be more than the one there is.

    Raises as set_limits, and NothingToRelease.
    """
    _require(actor, subject)
    limit = limits.limit_of(subject, metric)
    if limit is None:
        raise NothingToRelease(f"{subject} has no limit for {metric.label}.")
    wanted = number * MB if metric is Metric.BANDWIDTH else number
    if wanted <= limit.amount:
        raise NothingToRelease(f"That is not more than the limit of {amount(metric, limit.amount)} that there is.")
    fields: dict[str, Any] = {_FIELD_OF[metric]: number}
    return set_limits(actor, subject, **fields)


def raise_to(actor: Actor, subject: Subject, metric: Metric, text: str) -> str:
    """`raise_limit` by what somebody wrote; a sentence. Raises as that."""
    _require(actor, subject)
    number = text.strip()
    if not (number.isascii() and number.isdigit()) or len(number) > 9:
        raise ValidationError("Write the new limit as a whole number.")
    raise_limit(actor, subject, metric, int(number))
    in_units = " MB" if metric is Metric.BANDWIDTH else ""
    return f"The limit of {subject} for {metric.label} is now {int(number):,}{in_units} an hour."


def disable(actor: Actor, subject: Subject) -> User:
    """Have a user neither log in nor send any more, but still receive; open connections end.

    Raises NotAllowed, NoSuchSubject.
    """
    _require(actor, subject)
    row = row_of(subject)
    if not isinstance(row, User):
        raise NoSuchSubject(f"{subject} is no user.")
    try:
        accounts_actions.set_user_status(actor, row, Status.RECEIVING)
    except securing.Refused as error:
        raise NotAllowed(str(error)) from error
    return row


def _require(actor: Actor, subject: Subject) -> None:
    if actor.role is Role.SYSTEM_ADMINISTRATOR:
        return
    own = subject.kind in (SubjectKind.USER, SubjectKind.LIST) and actor.domain and subject.domain == actor.domain
    if actor.role is not Role.DOMAIN_ADMINISTRATOR or not own:
        raise NotAllowed("Only a system administrator may do that; a domain administrator for users and lists.")
    administrators = User.objects.filter(email=subject.name, role=Role.SYSTEM_ADMINISTRATOR)
    if subject.kind is SubjectKind.USER and administrators.exists():
        raise NotAllowed("Only a system administrator may do that to a system administrator.")


def _require_within(actor: Actor, subject: Subject, fields: dict[str, Any]) -> None:
    """Domain administrators grant no more than their domain has."""
    if actor.role is Role.SYSTEM_ADMINISTRATOR:
        return
    domain = accounts_actions.get_domain(subject.domain)
    for _, sentence in excesses(domain, fields.items()):
        raise NotAllowed(sentence)


def _row_named(name: str) -> User | MailingList | Domain | None:
    if "@" not in name:
        return Domain.objects.filter(name=key_of(f"@{name}")[1:]).first()
    for get in (accounts_actions.get_user, accounts_actions.get_list):
        try:
            return get(name)
        except (accounts_actions.NotThere, InvalidAddress):
            continue
    return None


def _is_counted(subject: Subject) -> bool:
    counted = [Window(subject, limit.metric) for limit in limits.of(subject) if limit.metric != Metric.BOUNCES]
    try:
        return any(state.used for state in windows.look(counted).values())
    except RedisError:
        return True


def _wake(subject: Subject) -> None:
    """Let go what has room under a new limit, and end what is over; the sweep does the same a few seconds later."""
    now = timezone.now()
    try:
        releases.wake_what_has_room(now, subject)
        events.review(subject, now)
    except RedisError as error:
        log.warning("Redis is away: %s", error)


def _clear_counters(subject: Subject) -> None:
    bounces.forget()
    events.forget()
    notices.forget()
    try:
        windows.clear(subject)
    except RedisError as error:
        log.warning("Redis is away, and begins anew when it is back: %s", error)
        windows.mistrust()


__all__ = [
    "NoSuchSubject",
    "NotAllowed",
    "NothingToRelease",
    "Released",
    "disable",
    "find",
    "raise_limit",
    "raise_to",
    "release",
    "row_of",
    "set_limits",
    "subject_of",
]
