"""Bulk jobs as pages show them."""

from __future__ import annotations

from typing import Any

from spool import actions
from spool.models import BulkJob, JobState
from spool.models.bulkjob import OPEN


def shown(found: BulkJob) -> dict[str, Any]:
    """What the templates of a job want to know beside it."""
    verb = actions.WORKS.get(found.action)
    return {
        "is_open": found.state in OPEN,
        "undoable": actions.can_undo(found.event),
        "label": verb.label if verb else found.action,
        "good": found.state == JobState.DONE and (found.done > 0 or not found.skipped),
    }


def open_jobs() -> list[BulkJob]:
    """Those that are being worked on, by whomever they were begun."""
    return list(BulkJob.objects.filter(state__in=OPEN).order_by("pk")[:5])
