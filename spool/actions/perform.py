"""Doing an action: first to be told what it will do, then to do it, here or in the background."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from base.audit.models import AuditEvent
from base.languages import in_source
from base.numbers import grouped
from spool.actions import audit, jobs
from spool.actions.actor import Actor
from spool.actions.selection import Selection
from spool.actions.verb import Refused, Verb
from spool.actions.verbs import VERBS, WORKS
from spool.filters import Count, SpoolFilter
from spool.models.bulkjob import BulkJob

# More than this is work for the background, when the caller does not say otherwise.
SMALL = 500
SAMPLE = 10
COUNTED = 100_000


@dataclass(frozen=True, slots=True)
class Preview:
    """What an action would do. `busy` of the sample are on the wire; `background`: it would not be done at once."""

    action: str
    count: Count
    sample: list[Any]
    busy: int
    what: str
    effect: str
    undoable: bool
    background: bool
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action did, or that it goes on in the background (`job` shows how far it is)."""

    job: BulkJob
    event: AuditEvent
    finished: bool

    @property
    def sentence(self) -> str:
        """For people: "11,998 deleted, 2 were being delivered"."""
        if self.finished:
            return self.event.outcome
        return _("%(works)s: %(total)s messages, in the background.") % {
            "works": WORKS[self.job.action].label,
            "total": grouped(self.job.total),
        }


def preview(action: str, what: SpoolFilter | Iterable[int] | Selection, actor: Actor, **parameters: Any) -> Preview:
    """What `perform` with the same arguments would do. Raises NotAllowed, Refused and BadFilter."""
    actor.require_verb(action)
    verb = _verb(action)
    selection = verb.selects.of(what)
    verb.require(actor, selection, parameters)
    checked = verb.parameters(_of_mailbox(verb, selection, parameters))
    number = selection.count_quickly(COUNTED)
    sample = selection.sample(SAMPLE)
    busy = selection.busy(sample, timezone.now())
    return Preview(
        action,
        number,
        sample,
        busy,
        selection.sentence(),
        verb.effect(checked),
        verb.undoable,
        number.more or number.number > SMALL,
        checked,
    )


def perform(
    action: str,
    what: SpoolFilter | Iterable[int] | Selection,
    actor: Actor,
    *,
    background: bool | None = None,
    progress: Callable[[BulkJob], None] | None = None,
    **parameters: Any,
) -> Outcome:
    """Do it, and write it down.

    `background` True leaves it to a maintenance worker, False does it here whatever the number (calling `progress`
    after each chunk), None decides by the number. Raises NotAllowed, Refused and BadFilter; then nothing is done.
    """
    actor.require_verb(action)
    verb = _verb(action)
    selection = verb.selects.of(what)
    verb.require(actor, selection, parameters)
    checked = verb.parameters(_of_mailbox(verb, selection, parameters))
    number = selection.count_quickly(COUNTED)
    large = number.more or number.number > SMALL
    job = _job(verb, selection, actor, checked, number.number)
    return start(job, large if background is None else background, progress)


def start(job: BulkJob, background: bool, progress: Callable[[BulkJob], None] | None = None) -> Outcome:
    """Do a job that was made, here or by leaving it to a maintenance worker."""
    if background:
        jobs.enqueue(job)
        return Outcome(job, job.event, False)
    jobs.work(job.id, progress=progress, pace=False)
    job.refresh_from_db()
    job.event.refresh_from_db()
    return Outcome(job, job.event, job.ended_or_cancelled)


def _of_mailbox(verb: Verb, selection: Selection, parameters: dict[str, Any]) -> dict[str, Any]:
    return {**parameters, "mailbox": selection.mailbox} if verb.of_mailbox and selection.mailbox else parameters


def _verb(action: str) -> Verb:
    try:
        return VERBS[action]
    except KeyError as error:
        raise Refused(
            _("There is no action %(action)s; there are %(verbs)s.")
            % {"action": f"{action!r}", "verbs": ", ".join(VERBS)}
        ) from error


def _job(verb: Verb, selection: Selection, actor: Actor, parameters: dict[str, Any], total: int) -> BulkJob:
    chosen = selection.filter.to_json() if selection.filter is not None else {}
    with transaction.atomic():
        event = audit.begin(
            actor,
            verb.name,
            in_source(selection.sentence),
            chosen=chosen,
            parameters=parameters,
            matched=total,
            about=selection.subject(),
        )
        return BulkJob.objects.create(
            action=verb.name,
            filter=chosen,
            ids=list(selection.ids),
            parameters=parameters,
            actor=actor.name,
            total=total,
            last_id=selection.last_id(),
            created=timezone.now(),
            event=event,
        )
