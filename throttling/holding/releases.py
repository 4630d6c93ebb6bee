"""Letting held entries go: because there is room, because a limit was changed, because somebody says so."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Exists, OuterRef, Q

from accounts.models import Metric, ThrottleAction
from spool.flow import doorbell
from spool.models.entry import Entry, Status
from spool.rows import changes, statements
from throttling import bounces
from throttling.counting import ledger, limits, windows
from throttling.counting.state import Window
from throttling.models import HeldEntry, Passage
from throttling.subjects import Subject, SubjectKind

CHUNK = 500


def let_go(subject: Subject, now: datetime) -> int:
    """Have all that waits for a subject go now, whatever the limits; how many. Call it in a transaction, then ring."""
    held = HeldEntry.objects.filter(kind=subject.kind, name=subject.name)
    ids = list(held.order_by("entry_id").values_list("entry_id", flat=True))
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        ledger.pass_uncounted(chunk, now)
        changes.wake_throttled(chunk, now)
    held.delete()
    return len(ids)


def wake_released(now: datetime) -> None:
    """What was let go at the moment in which a worker put it back to wait."""
    waiting = Entry.objects.filter(status=Status.THROTTLED, due_at__gt=now, leased_by="", hold=False)
    has_passed = Exists(Passage.objects.filter(file_name=OuterRef("file_name")))
    with statements.write_transaction():
        woken = changes.wake_throttled(list(waiting.filter(has_passed).order_by().values_list("id", flat=True)), now)
    if woken:
        doorbell.ring()


def forget_what_left() -> None:
    """Drop what was held and is not any more: deleted, moved, or on its way after all."""
    # What a worker has is not gone: it may be shown in a stage that it goes through before this one again.
    waits = Entry.objects.filter(Q(status=Status.THROTTLED) | ~Q(leased_by=""), id=OuterRef("entry_id"))
    with statements.write_transaction():
        HeldEntry.objects.exclude(Exists(waits)).delete()


def wake_what_has_room(now: datetime, subject: Subject | None = None) -> int:
    """Have the first of each queue looked at now, as far as there is room for them; how many. Raises RedisError.

    When an entry is held, its time is an estimate: others may have been deleted since, or a limit changed. Those behind
    the ones that fit keep theirs until it is their turn.
    """
    held = HeldEntry.objects.all()
    if subject is not None:
        held = held.filter(kind=subject.kind, name=subject.name)
    queues = [
        (Subject(SubjectKind(kind), name), Metric(metric))
        for kind, name, metric in held.order_by().values_list("kind", "name", "metric").distinct()
    ]
    states = windows.look(Window(subject, metric) for subject, metric in queues if metric is not Metric.BOUNCES)
    woken = 0
    for subject, metric in queues:
        limit = limits.limit_of(subject, metric)
        waiting = HeldEntry.objects.filter(kind=subject.kind, name=subject.name, metric=metric).order_by("entry_id")
        if limit is None or limit.action is ThrottleAction.NONE:
            chosen = list(waiting.values_list("entry_id", flat=True)[:CHUNK])
        elif metric is Metric.BOUNCES:
            is_over = bounces.returned(subject.name, limit.amount).until is not None
            chosen = [] if is_over else list(waiting.values_list("entry_id", flat=True)[:CHUNK])
        else:
            chosen = _fitting(
                waiting.values_list("entry_id", "cost")[:CHUNK], limit.amount - states[Window(subject, metric)].used
            )
        if chosen:
            with statements.write_transaction():
                woken += changes.wake_throttled(chosen, now)
    if woken:
        doorbell.ring()
    return woken


def _fitting(waiting: Iterable[tuple[int, int]], room: int) -> list[int]:
    chosen = []
    for entry_id, cost in waiting:
        room -= cost
        if room < 0:
            break
        chosen.append(entry_id)
    return chosen
