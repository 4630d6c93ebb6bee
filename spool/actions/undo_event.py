"""Undo: what an action deleted or moved is put back into the spool, at once or as a job in the background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext_lazy as _lazy

from base.audit.models import AuditEvent
from spool.actions import audit
from spool.actions.actor import Actor
from spool.actions.perform import SMALL, Outcome, start
from spool.actions.verb import Refused
from spool.models.bulkjob import OPEN, BulkJob
from spool.places.bins import BINS, TRASH, bin_of

_NOTHING = _lazy("There is nothing left to undo: it was undone, put back, or kept as long as the settings say.")


def can_undo(event: AuditEvent) -> bool:
    """Whether there is anything of it left to put back."""
    found = bin_of(event.action)
    return found is not None and bool(found.rows().filter(event=event).exists())


def rows_of(event_id: int) -> Any:
    """What an action took and is still there to be put back: a queryset."""
    return (bin_of(_action_of(event_id)) or TRASH).rows().filter(event_id=event_id)


def _action_of(event_id: int) -> str:
    return AuditEvent.objects.filter(id=event_id).values_list("action", flat=True).first() or ""


def undoable(event_ids: Sequence[int]) -> set[int]:
    """Those of these events of which there is anything left to put back."""
    there = reduce(or_, (Exists(found.rows().filter(event=OuterRef("pk"))) for found in BINS))
    return set(AuditEvent.objects.filter(there, pk__in=event_ids).values_list("pk", flat=True))


def undo(
    actor: Actor,
    *,
    event_id: int | None = None,
    ids: Sequence[int] = (),
    background: bool | None = None,
    progress: Callable[[BulkJob], None] | None = None,
) -> Outcome:
    """Put back what one action took (`event_id`, of its AuditEvent), or single entries of the trash.

    `background` and `progress` are those of `perform`. An undo of the same action that is under way is not begun twice.
    Raises NotAllowed, and Refused when nothing of it is left.
    """
    actor.require_actions()
    parameters: dict[str, Any] = {}
    rows = TRASH.rows().filter(id__in=ids)
    if event_id is not None:
        parameters = {"event": event_id, "action": _action_of(event_id)}
        rows = rows_of(event_id)
    last = rows.order_by("-id").values_list("id", flat=True).first()
    if last is None:
        raise Refused(_NOTHING)
    if event_id is not None and (job := _under_way(event_id)) is not None:
        return Outcome(job, job.event, False)
    count = rows.count()
    what = _of_event(event_id) if event_id is not None else _names(rows, count)
    with transaction.atomic():
        event = audit.begin(actor, "undo", what, parameters=parameters, matched=count)
        job = BulkJob.objects.create(
            action="undo",
            ids=[] if event_id is not None else sorted(ids),
            parameters=parameters,
            actor=actor.name,
            total=count,
            last_id=last,
            created=timezone.now(),
            event=event,
        )
    return start(job, count > SMALL if background is None else background, progress)


def _under_way(event_id: int) -> BulkJob | None:
    jobs = BulkJob.objects.select_related("event").filter(action="undo", state__in=OPEN)
    return next((job for job in jobs if job.parameters.get("event") == event_id), None)


def _of_event(event_id: int) -> str:
    """In words: "what action 12 (delete) took: messages from ann@example.org"."""
    event = AuditEvent.objects.get(id=event_id)
    return f"what action {event_id} ({event.action}) took: {event.on}"


def _names(rows: Any, count: int) -> str:
    names = list(rows.order_by("id").values_list("file_name", flat=True)[:20])
    return ", ".join(names) + (f" and {count - len(names)} more" if count > len(names) else "")
