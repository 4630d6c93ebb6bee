"""The jobs that RQ runs. Each may be lost or run twice without harm: the database says what is to be done."""

from __future__ import annotations

import logging

from django.utils import timezone

from spool import doctor, doorbell, statements
from spool.actions import forget_traces
from spool.models.settings import current
from spool.passes import run

log = logging.getLogger(__name__)


def run_pass() -> None:
    """Work on due entries until there are none, and have the next one announced."""
    run()


def sweep() -> None:
    """The safety net: ring for entries that are due, and announce the next one, whatever became of earlier rings."""
    earliest = statements.earliest_due()
    if earliest is None:
        return
    if earliest <= timezone.now():
        doorbell.ring()
    else:
        doorbell.ring_at(earliest)


def forget() -> None:
    """Remove what nobody needs any more: files that killed workers left, traces and attempts past their time."""
    # First: it is by their traces that such files are known.
    if count := doctor.clear_leftovers():
        log.info("removed %d files of messages that had ended", count)
    forget_traces(timezone.now(), current().trace_days)
