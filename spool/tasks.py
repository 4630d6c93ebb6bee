"""The jobs that RQ runs. Each may be lost or run twice without harm: the database says what is to be done."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.utils import timezone
from django.utils.module_loading import import_string

from base import clock
from spool.actions import empty_trash, jobs, move
from spool.actions.queue import release_expired
from spool.flow import doorbell, leases
from spool.flow.passes import run
from spool.holders import holders
from spool.maintenance import doctor
from spool.maintenance.retention import forget_audit, forget_policies, forget_traces
from spool.models.settings import current
from spool.monitoring import programs
from spool.places import contents, relocation, trash
from spool.rows import lease

log = logging.getLogger(__name__)


def run_pass() -> None:
    """Work on due entries until there are none, and have the next one announced."""
    run()


def sweep() -> None:
    """The safety net: what a machine sees to for itself, and what one of them does for all."""
    sweep_here()
    sweep_for_all()


def sweep_here() -> None:
    """What is about this machine's clock, disk and files: the scheduler of each machine does it.

    It mends times after the clock was set back, has the trash give way when the disk is short, gives what rests without
    a file its file, brings what is kept to where MAILSPOOL_STORE says, and lets the apps above the spool do the same
    for what is theirs on this machine (SPOOL_SWEEPS_HERE).
    """
    _mend_times()
    empty_trash.give_way(timezone.now())
    _bring_out()
    _relocate()
    _call(settings.SPOOL_SWEEPS_HERE)


def sweep_for_all() -> None:
    """Ring for entries that are due, and announce the next one, whatever became of earlier rings: one scheduler does.

    It also ends the holds whose time is over, finds bulk jobs that nobody works on any more, and lets the apps above
    the spool do the same for what is theirs (SPOOL_SWEEPS).
    """
    release_expired(timezone.now())
    leases.let_go_early(timezone.now(), delayed=current().delivery_delay_seconds > 0)
    jobs.enqueue_left_behind()
    _call(settings.SPOOL_SWEEPS)
    earliest = lease.earliest_due()
    if earliest is None:
        return
    if earliest <= timezone.now():
        doorbell.ring()
    else:
        doorbell.ring_at(earliest)


def _call(paths: Iterable[str]) -> None:
    for path in paths:
        try:
            import_string(path)()
        except Exception:  # the edge of a plug-in: it must not stop the safety net
            log.exception("%s failed", path)


def _bring_out() -> None:
    try:
        if count := contents.bring_out_resting(timezone.now()):
            log.info("%d messages that came to rest without a file have theirs now", count)
    except OSError as error:
        log.error("messages that came to rest could not be given their files: %s", error)


def _relocate() -> None:
    try:
        if count := relocation.step():
            log.info("%d messages are where MAILSPOOL_STORE says now", count)
    except OSError as error:
        log.error("messages could not be brought to where MAILSPOOL_STORE says: %s", error)


# No retry, delay or hold of a stage is for longer; what is was written while the clock was ahead.
LONGEST_WAIT = timedelta(hours=25)
_mended = float("-inf")


def _mend_times() -> None:
    """After the clock was set back: mend what was written by it before."""
    global _mended
    at, seconds = clock.steps().last
    if seconds >= 0 or at <= _mended:
        return
    _mended = at
    settings_now = current()
    longest = max([*settings_now.retry_intervals, timedelta(seconds=settings_now.delivery_delay_seconds)])
    count = leases.mend(timezone.now(), longest + timedelta(minutes=1))
    log.warning("the clock was set back by %.0f s: %d messages have new times", -seconds, count)


def forget() -> None:
    """Remove what nobody needs any more, and finish what was interrupted.

    That is files that killed workers left, moves, and deleted messages, traces, attempts, audit and MTA-STS policies
    past their time. While the database is away it waits for its next hour.
    """
    try:
        _forget()
    except (OperationalError, InterfaceError) as error:
        log.error("housekeeping has to wait: %s", error)


def _forget() -> None:
    programs.tidy()
    # First: it is by their traces that such files are known.
    try:
        if count := doctor.clear_leftovers():
            log.info("removed %d files of messages that had ended", count)
    except OSError as error:
        log.error("files of messages that have ended could not be removed: %s", error)
    now = timezone.now()
    move.finish(now)
    leases.mend(now, LONGEST_WAIT)
    trash.purge(now, current().trash_days)
    forget_traces(now, current().trace_days)
    forget_policies(now)
    forget_audit(now, current().audit_days)
    for holder in holders():
        holder.tidy(now)
    for path in settings.SPOOL_HOUSEKEEPING:
        try:
            import_string(path)(now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # the edge of a plug-in: what one can't do is no reason to leave out the others
            log.exception("%s failed, and is tried again in an hour", path)


def run_bulk_job(job_id: int) -> None:
    """Work on an action for many entries, unless somebody does already. The sweep enqueues it again if need be."""
    try:
        jobs.work(job_id, is_to_leave=programs.is_draining)
    except (OperationalError, InterfaceError) as error:
        log.error("job %d has to wait: %s", job_id, error)
