"""Throttle events: begun when something is beyond a limit, ended when that is over. Each process writes one at most
every few seconds, however much is refused."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet, Sum

from accounts.models import HourlyLimit, Metric, ThrottleAction
from base.expiring import ExpiringSet
from spool.rows import statements
from throttling import bounces, notices
from throttling.counting import limits, windows
from throttling.counting.replay import seconds_until
from throttling.counting.state import Window
from throttling.models import HeldEntry, ThrottleEvent
from throttling.subjects import Subject, SubjectKind
from throttling.wording import Reached

QUIET = timedelta(minutes=5)
_WRITE_SECONDS = 2.0
_written: ExpiringSet[tuple[Subject, Metric]] = ExpiringSet(_WRITE_SECONDS)


def note(reached: Iterable[Reached], now: datetime) -> None:
    """Write down who is beyond a limit, and tell those whom it concerns that it comes close or is reached."""
    found = list(reached)
    notices.consider(found)
    for one in found:
        if one.over and _written.is_new((one.subject, one.limit.metric)):
            _write(one, now)


def forget() -> None:
    """Drop what this process remembers."""
    _written.clear()


def _write(one: Reached, now: datetime) -> None:
    state = {
        "action": one.limit.action,
        "amount": one.limit.amount,
        "used": one.used,
        "last": now,
        "until": one.until,
    }
    with statements.write_transaction():
        if not of(one.subject, one.limit.metric).update(**state):
            event = ThrottleEvent(
                kind=one.subject.kind,
                name=one.subject.name,
                domain=one.subject.domain,
                metric=one.limit.metric,
                since=now,
                **state,
            )
            # Another process may have begun it this moment.
            ThrottleEvent.objects.bulk_create([event], ignore_conflicts=True)


def write_down_release(subject: Subject, by: str, now: datetime) -> None:
    """Somebody who was not over a limit is released: from here on it is counted anew (ledger.released_since)."""
    for limit in limits.of(subject)[:1]:
        ThrottleEvent.objects.create(
            kind=subject.kind,
            name=subject.name,
            domain=subject.domain,
            metric=limit.metric,
            action=limit.action,
            amount=limit.amount,
            used=0,
            since=now,
            last=now,
            until=now,
            ended=now,
            ended_by=by[:254],
        )


def of(subject: Subject, metric: Metric | None = None) -> QuerySet[ThrottleEvent]:
    """A subject's events that last."""
    found = ThrottleEvent.objects.filter(kind=subject.kind, name=subject.name, ended=None)
    return found.filter(metric=metric) if metric is not None else found


def subject_of(row: ThrottleEvent | HeldEntry) -> Subject:
    return Subject(SubjectKind(row.kind), row.name)


def end_those_that_are_over(now: datetime) -> int:
    """End events after which nothing waits, with room in the window, and with nothing refused for some minutes.

    One whose limit was changed is over at once when all that waits has room now. Others get their limit, their use and
    their end anew. Returns how many ended. Raises redis.RedisError.
    """
    return _review(list(ThrottleEvent.objects.filter(ended=None)), now)


def review(subject: Subject, now: datetime) -> int:
    """The same for one subject, whose limits were changed."""
    forget()
    return _review(list(of(subject)), now)


def _review(lasting: list[ThrottleEvent], now: datetime) -> int:
    counted = [event for event in lasting if event.metric != Metric.BOUNCES]
    states = windows.look(Window(subject_of(event), Metric(event.metric)) for event in counted)
    ended = 0
    for event in lasting:
        subject, metric = subject_of(event), Metric(event.metric)
        limit = limits.limit_of(subject, metric)
        was_changed = limit is None or (limit.amount, limit.action) != (event.amount, event.action)
        if limit is not None:
            event.amount, event.action = limit.amount, limit.action
        if metric is Metric.BOUNCES:
            found = bounces.returned(subject.name, event.amount)
            used, until = found.count, found.until
        else:
            state = states[Window(subject, metric)]
            used = state.used
            until = now + timedelta(seconds=seconds_until(state, event.amount, 1)) if used >= event.amount else None
        waiting = HeldEntry.objects.filter(kind=event.kind, name=event.name, metric=event.metric)
        last = waiting.order_by("-entry_id").values_list("until", flat=True).first()
        event.used, event.until = used, max(filter(None, (until, last)), default=None)
        if last is None and until is None and now - event.last >= QUIET:
            event.ended = now
        elif was_changed and (limit is None or _has_room(waiting, limit, used, is_over=until is not None)):
            event.ended = event.until = now
        ended += event.ended is not None
        event.save(update_fields=["amount", "action", "used", "until", "ended"])
    return ended


def _has_room(waiting: QuerySet[HeldEntry], limit: HourlyLimit, used: int, *, is_over: bool) -> bool:
    """Whether all that waits may go under a limit as it is now."""
    if limit.action is ThrottleAction.NONE:
        return True
    if limit.metric is Metric.BOUNCES:
        return not is_over
    cost: int = waiting.aggregate(cost=Sum("cost"))["cost"] or 0
    return used < limit.amount and used + cost <= limit.amount


def now_throttled(kinds: Iterable[SubjectKind], domain: str = "") -> QuerySet[ThrottleEvent]:
    """Those who are over a limit, the latest first; of one domain, where one is given."""
    found = ThrottleEvent.objects.filter(Q(kind__in=list(kinds)), ended=None).order_by("-since", "-id")
    return found.filter(domain=domain) if domain else found


__all__ = ["end_those_that_are_over", "forget", "note", "now_throttled", "of", "subject_of"]
