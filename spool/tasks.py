"""The jobs that RQ runs. Each may be lost or run twice without harm: the database says what is to be done."""

from __future__ import annotations

from django.utils import timezone

from spool import doorbell, statements
from spool.actions import forget_traces
from spool.models.settings import current
from spool.passes import run


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
    """Remove traces and attempts older than the settings keep them."""
    forget_traces(timezone.now(), current().trace_days)
