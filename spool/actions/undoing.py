"""Undo: what an action deleted or moved is put back into the spool."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F
from django.utils import timezone

from spool import doorbell, trash
from spool.actions import audit
from spool.actions.actor import Actor
from spool.actions.jobs import REST
from spool.actions.verb import Refused, Tally
from spool.models.audit import AuditEvent
from spool.models.trashed import Trashed


@dataclass(frozen=True, slots=True)
class Bin:
    """Where the rows are that some actions took away: rows with an `event_id`, and what puts them back.

    `restore` takes their ids and answers with (those restored, how many had lost their file).
    """

    actions: tuple[str, ...]
    rows: Callable[[], Any]
    restore: Callable[[Sequence[int], datetime], tuple[list[int], int]]


_TRASH = Bin(("delete", "move"), Trashed.objects.all, trash.restore)
# Another app adds the bins of its own actions.
BINS: list[Bin] = [_TRASH]


def _bin_of(action: str) -> Bin | None:
    return next((found for found in BINS if action in found.actions), None)


def can_undo(event: AuditEvent) -> bool:
    """Whether there is anything of it left to put back."""
    found = _bin_of(event.action)
    return found is not None and bool(found.rows().filter(event=event).exists())


def rows_of(event_id: int) -> Any:
    """What an action took and is still there to be put back: a queryset."""
    action = AuditEvent.objects.filter(id=event_id).values_list("action", flat=True).first()
    return (_bin_of(action or "") or _TRASH).rows().filter(event_id=event_id)


def undo(
    actor: Actor, *, event_id: int | None = None, ids: Sequence[int] = (),
    progress: Callable[[Tally], None] | None = None, pace: bool = False,
) -> Tally:  # fmt: skip
    """Restore what one action took (`event_id`, of its AuditEvent), or single entries of the trash.

    Raises NotAllowed, and Refused when nothing of it is left. An undo that is interrupted is done again: it goes on.
    """
    actor.require_actions()
    found = _TRASH
    if event_id is not None:
        action = AuditEvent.objects.filter(id=event_id).values_list("action", flat=True).first()
        found = _bin_of(action or "") or _TRASH
    wanted = found.rows().filter(event_id=event_id) if event_id is not None else found.rows().filter(id__in=ids)
    if not wanted.exists():
        raise Refused("There is nothing left to undo: it was undone, put back, or kept as long as the settings say.")
    what = f"action {event_id}" if event_id is not None else f"{len(ids)} messages of the trash"
    event = audit.begin(actor, "undo", what, parameters={"event": event_id, "ids": list(ids)[:1000]})
    tally, cursor = Tally(), 0
    while chunk := list(wanted.filter(id__gt=cursor).order_by("id").values_list("id", "event_id")[: trash.CHUNK]):
        started = time.monotonic()
        cursor = chunk[-1][0]
        restored, lost = found.restore([number for number, _ in chunk], timezone.now())
        events = dict(chunk)
        for undone in {events[number] for number in restored}:
            count = sum(events[number] == undone for number in restored)
            AuditEvent.objects.filter(id=undone).update(undone=F("undone") + count)
        tally += Tally(len(restored), 0, lost, "their files are gone or were changed" if lost else "")
        doorbell.ring()
        if progress is not None:
            progress(tally)
        if pace:
            time.sleep((time.monotonic() - started) * REST)
    audit.end(event, tally, "restored")
    return tally


def start_undo(actor: Actor, event_id: int) -> AuditEvent:
    """Undo a large action in the background. Raises NotAllowed and Refused."""
    actor.require_actions()
    event = AuditEvent.objects.get(id=event_id)
    if not can_undo(event):
        raise Refused("There is nothing left to undo: it was undone, put back, or kept as long as the settings say.")
    doorbell.maintenance_queue().enqueue(
        "spool.tasks.run_undo", event_id, actor.name, actor.source, result_ttl=0, failure_ttl=3600, job_timeout=-1
    )
    return event
