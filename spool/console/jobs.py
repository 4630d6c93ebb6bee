"""Bulk jobs as pages show them."""

from __future__ import annotations

from typing import Any

from accounts.reach import Right
from spool import actions
from spool.models import BulkJob, JobState
from spool.models.bulkjob import OPEN


def shown(found: BulkJob, actor: actions.Actor) -> dict[str, Any]:
    """What the templates of a job want to know beside it, for this person."""
    verb = actions.WORKS.get(found.action)
    return {
        "is_open": found.state in OPEN,
        "undoable": actor.may(Right.ADMINISTER) and actions.can_undo(found.event),
        "may_cancel": actions.may_cancel(actor, found),
        "label": verb.label if verb else found.action,
        "good": found.state == JobState.DONE and (found.done > 0 or not found.skipped),
    }


def open_jobs(actor: actions.Actor) -> list[BulkJob]:
    """Those that are being worked on, by whomever they were begun; who does not administer sees their own."""
    jobs = BulkJob.objects.filter(state__in=OPEN).order_by("pk")
    return list((jobs if actor.may(Right.ADMINISTER) else jobs.filter(actor=actor.name))[:5])
