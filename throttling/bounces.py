"""Bounces that a domain has received in the last hour, straight from their rows: they need no counter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import Metric, ThrottleAction
from base.expiring import ExpiringDict
from spool.models.bounce import ReceivedBounce
from throttling.counting.ledger import released_since
from throttling.subjects import Charge, Limited, Subject, SubjectKind
from throttling.wording import Reached

_HOUR = timedelta(hours=1)
FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Returned:
    """How many bounces a domain got, and, when they are as many as the limit, until when that is so."""

    count: int
    until: datetime | None


def charges(limited: Iterable[Limited], *, rejecting: bool, has_session: bool) -> tuple[Charge, ...]:
    """The limits of bounces that a message is judged by at one of the two places (see subjects.charges)."""
    return tuple(
        Charge(one.subject, limit, 1, limit.action is not ThrottleAction.NONE)
        for one in limited
        for limit in one.limits
        if limit.metric is Metric.BOUNCES and (has_session and limit.action is ThrottleAction.REJECT) == rejecting
    )


def refusal(asked: Iterable[Charge], reached: dict[tuple[Subject, Metric], Reached], now: datetime) -> Charge | None:
    """The first that is enforced and whose domain has received too many; notes in `reached` how many there are."""
    for charge in asked:
        found = returned(charge.subject.name, charge.limit.amount)
        over = found.until is not None and found.until > now
        reached[charge.subject, Metric.BOUNCES] = Reached(
            charge.subject, charge.limit, found.count, found.until if over else None, over=over
        )
        if over and charge.enforced:
            return charge
    return None


_kept: ExpiringDict[tuple[str, int], Returned] = ExpiringDict(FRESH_SECONDS)


def returned(domain: str, limit: int) -> Returned:
    """Of the last hour, or since somebody released the domain. At most a second old."""
    return _kept.get((domain, limit)) or _kept.keep((domain, limit), _count(domain, limit))


def forget() -> None:
    """Drop this process's answers."""
    _kept.clear()


def _count(domain: str, limit: int) -> Returned:
    since = released_since(Subject(SubjectKind.DOMAIN, domain), timezone.now() - _HOUR)
    bounces = ReceivedBounce.objects.filter(domain=domain, received__gt=since)
    # With so many behind it the limit is reached, until it is an hour old.
    last = bounces.order_by("-received").values_list("received", flat=True)[limit - 1 : limit].first()
    return Returned(bounces.count(), last + _HOUR if last is not None else None)
