"""What counts, for whom, and how much: the one place that says so.

| mail | counts for | where it is counted |
| --- | --- | --- |
| of a user who logged in, to anybody | the user and the user's domain | limits that reject: at the end of DATA; others: in the stage |
| a list's copies to members elsewhere | the list and its domain | in the stage |
| a forward that leaves this server | the mailbox that forwards, and its domain | in the stage |
| of a client without a login | its IP address | as for a user |
| status notifications, the drop folder, commands | nobody | |

A message counts once, when it goes on its way for the first time: retries cost nothing. Its bandwidth is its size times
its recipients. One that is larger than a whole limit counts as the whole limit: it goes when nothing else has.
A list's or a forward's message was accepted long before, so what a limit would reject is delayed instead.

What waits for a user, a list or a domain are recipients elsewhere: mailboxes here get theirs at once, or strangers who
use up a limit would keep mail from those who forward a copy. A client's limit is on what it brings: all of that waits.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db import models
from django.utils.translation import gettext_lazy as _lazy

from accounts import directory
from accounts.directory import LocalDomain, LocalList, LocalUser, Miss
from accounts.models import HourlyLimit, Metric, ThrottleAction
from spool.message.envelope import LeasedEntry
from spool.models.entry import Direction, Origin
from spool.models.recipient import Kind
from spool.rows.keys import list_key
from spool.trusted import trusts


class SubjectKind(models.TextChoices):
    """Who can have limits."""

    USER = "user", _lazy("User")
    LIST = "list", _lazy("Mailing list")
    DOMAIN = "domain", _lazy("Domain")
    IP = "ip", _lazy("Client IP")


# Which of them the two tabs and their alerts are about.
USER_KINDS = (SubjectKind.USER, SubjectKind.LIST, SubjectKind.IP)
DOMAIN_KINDS = (SubjectKind.DOMAIN,)


class Subject(NamedTuple):
    """One of them: an address, a domain's name or an IP address. A tuple, for it is looked up many times a message."""

    kind: SubjectKind
    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def domain(self) -> str:
        """The local domain it belongs to; empty for an IP address."""
        return "" if self.kind is SubjectKind.IP else self.name.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Limited:
    """A subject with its limits."""

    subject: Subject
    limits: tuple[HourlyLimit, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one message costs, by what is counted."""

    recipients: int
    size_bytes: int

    def of(self, metric: Metric) -> int:
        if metric is Metric.MESSAGES:
            return 1
        return self.recipients if metric is Metric.RECIPIENTS else self.recipients * self.size_bytes


class Charge(NamedTuple):
    """`cost` for a subject's limit. Where it is not enforced it is only counted."""

    subject: Subject
    limit: HourlyLimit
    cost: int
    enforced: bool


IPLimits = tuple[HourlyLimit, ...]


def charges(limited: Iterable[Limited], cost: Cost, *, rejecting: bool, has_session: bool) -> tuple[Charge, ...]:
    """What a message costs whom, at one of the two places that count.

    `rejecting` is the SMTP check, which counts for limits that reject, and for those alone. `has_session` says that the
    message comes, or came, by it; what did not is delayed by these limits too.
    """
    found = []
    for one in limited:
        for limit in one.limits:
            if limit.metric is Metric.BOUNCES or (has_session and limit.action is ThrottleAction.REJECT) != rejecting:
                continue
            amount = min(cost.of(limit.metric), limit.amount)
            found.append(Charge(one.subject, limit, amount, limit.action is not ThrottleAction.NONE))
    return tuple(found)


def of_user(user: LocalUser, domain: LocalDomain | None) -> list[Limited]:
    """A user and the user's domain, as far as they have limits."""
    return _with_limits(
        Limited(Subject(SubjectKind.USER, user.address), user.hourly_limits), _of_domain(user.domain, domain)
    )


def of_list(mailing_list: LocalList, domain: LocalDomain | None) -> list[Limited]:
    """A list and its domain, as far as they have limits."""
    return _with_limits(
        Limited(Subject(SubjectKind.LIST, mailing_list.address), mailing_list.hourly_limits),
        _of_domain(mailing_list.domain, domain),
    )


def of_client(ip: str, limits: IPLimits) -> list[Limited]:
    """A client that has not logged in, unless it may send anywhere without."""
    return [] if not limits or trusts(ip) else [Limited(Subject(SubjectKind.IP, ip), limits)]


def of_entries(entries: Sequence[LeasedEntry], ip_limits: IPLimits) -> list[list[Limited]]:
    """Those that each entry counts for, as far as they have limits. The directory is asked once for all of them."""
    found = directory.lookup_many({name for entry in entries if (name := responsible(entry))})
    return [_of_entry(entry, found.get(responsible(entry)), ip_limits) for entry in entries]


def of_cached(entry: LeasedEntry, ip_limits: IPLimits) -> list[Limited] | None:
    """Those that an entry counts for, as far as they have limits, without a query: None when one would be needed."""
    name = responsible(entry)
    found = directory.cached(name) if name else None
    if isinstance(found, Miss):
        return None
    if found is None:
        # Which clients may send anywhere is looked up.
        return None if ip_limits and _is_by_client(entry) else []
    domain = directory.cached_domain(found.domain)
    return None if isinstance(domain, Miss) else _of_local(found, domain)


def responsible(entry: LeasedEntry) -> str:
    """The address of ours that an entry counts for; empty when there is none."""
    if entry.auth_user:
        return entry.auth_user
    if entry.direction != Direction.OUTBOUND:
        return ""
    if entry.origin == Origin.LIST:
        return list_key(entry.origin, entry.sender)
    if entry.origin == Origin.FORWARD:
        # The mailbox's own copy is for the address that was written, which may be another one.
        elsewhere = (one.original for one in entry.recipients if one.kind is Kind.REMOTE)
        return next((original for original in elsewhere if original), "")
    return ""


def cost_of(entry: LeasedEntry) -> Cost:
    """What an entry costs those that it counts for."""
    if entry.origin in (Origin.LIST, Origin.FORWARD):
        return Cost(len(_elsewhere(entry)), entry.size_bytes)
    return Cost(entry.recipients_total, entry.size_bytes)


def charges_of(entry: LeasedEntry, limited: Iterable[Limited]) -> tuple[Charge, ...]:
    """What an entry is charged in the stage. What is for mailboxes here alone is counted, and waits for nobody."""
    found = charges(limited, cost_of(entry), rejecting=False, has_session=entry.origin == Origin.SMTP)
    return tuple(c if braked(entry, c.subject) else c._replace(enforced=False) for c in found)


def braked(entry: LeasedEntry, subject: Subject) -> list[int]:
    """The ids of those recipients that wait when the subject has sent too much."""
    return [one.id for one in entry.recipients] if subject.kind is SubjectKind.IP else _elsewhere(entry)


def _elsewhere(entry: LeasedEntry) -> list[int]:
    return [one.id for one in entry.recipients if one.kind is Kind.REMOTE]


def _of_entry(entry: LeasedEntry, found: directory.LocalAddress | None, ip_limits: IPLimits) -> list[Limited]:
    if found is None:
        return _of_client(entry, ip_limits)
    return _of_local(found, directory.local_domain(found.domain))


def _of_local(found: directory.LocalAddress, domain: LocalDomain | None) -> list[Limited]:
    if isinstance(found, LocalUser):
        return of_user(found, domain)
    if isinstance(found, LocalList):
        return of_list(found, domain)
    return _with_limits(_of_domain(found.domain, domain))


def _of_client(entry: LeasedEntry, ip_limits: IPLimits) -> list[Limited]:
    return of_client(entry.client_ip, ip_limits) if _is_by_client(entry) else []


def _is_by_client(entry: LeasedEntry) -> bool:
    return entry.origin == Origin.SMTP and not entry.auth_user and bool(entry.client_ip)


def _of_domain(name: str, domain: LocalDomain | None) -> Limited:
    return Limited(Subject(SubjectKind.DOMAIN, name), domain.hourly_limits if domain is not None else ())


def _with_limits(*limited: Limited) -> list[Limited]:
    return [one for one in limited if one.limits]
