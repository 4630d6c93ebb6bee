"""Letting held entries go: because there is room, because a limit was changed, because somebody says so."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from accounts.models import Metric, ThrottleAction
from spool.flow import doorbell
from spool.rows import entries, rest, statements
from throttling import bounces
from throttling.counting import limits, windows
from throttling.counting.state import Window
from throttling.models import HeldEntry
from throttling.subjects import Subject, SubjectKind

CHUNK = 500


def let_go(subject: Subject, now: datetime) -> int:
    """Have all that waits for a subject go now, whatever the limits; how many. Call it in a transaction, then ring."""
    mine = "SELECT entry_id FROM throttling_heldentry WHERE kind = %s AND name = %s"
    whose = [subject.kind.value, subject.name]
    count = HeldEntry.objects.filter(kind=subject.kind, name=subject.name).count()
    # In the ledger, for nobody: they are not looked at any more, and are not counted.
    statements.execute(
        "INSERT INTO throttling_passage (file_name, at, sender, domain, client_ip, recipients, size_bytes)"  # noqa: S608
        " SELECT file_name, %s, '', '', '', recipients_total, size_bytes"
        f" FROM {entries.TABLE} WHERE id IN ({mine}) ON CONFLICT DO NOTHING",
        [int(now.timestamp()), *whose],
    )
    rest.make_due(f"id IN ({mine})", whose, now)
    HeldEntry.objects.filter(kind=subject.kind, name=subject.name).delete()
    return count


def wake_released(now: datetime) -> None:
    """What was let go at the moment in which a worker put it back to wait."""
    with statements.write_transaction():
        woken = rest.make_due(
            "status = 'throttled' AND due_at > %s AND EXISTS"
            " (SELECT 1 FROM throttling_passage p WHERE p.file_name = e.file_name)",
            [statements.db_time(now)],
            now,
        )
    if woken:
        doorbell.ring()


def forget_what_left() -> None:
    """Drop what was held and is not any more: deleted, moved, or on its way after all."""
    with statements.write_transaction():
        # What a worker has is not gone: it may be shown in a stage that it goes through before this one again.
        there = f"SELECT 1 FROM {entries.TABLE} WHERE e.id = entry_id AND (e.status = 'throttled' OR e.leased_by <> '')"  # noqa: S608
        statements.execute(f"DELETE FROM throttling_heldentry WHERE NOT EXISTS ({there})", ())  # noqa: S608


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
            clause, parameters = statements.id_list(chosen)
            with statements.write_transaction():
                woken += rest.make_due(f"id {clause} AND due_at > %s", [*parameters, statements.db_time(now)], now)
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
