"""Working off an action chunk by chunk, by whoever holds the job's lease: a worker that dies is followed by another.

How far a job is, is committed in the same transaction as the chunk's changes: nothing is done twice or left out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta

from django.db import Error as DatabaseError
from django.db.models import F, Q
from django.utils import timezone
from redis.exceptions import RedisError

from accounts.reach import Right
from base.audit.results import Result
from spool.actions import audit
from spool.actions.actor import Actor
from spool.actions.pace import Pace
from spool.actions.verb import Context, Refused, Tally
from spool.actions.verbs import WORKS
from spool.filters import BadFilter
from spool.flow import doorbell, leases
from spool.flow.intake import IntakeError
from spool.models.bulkjob import OPEN, BulkJob, JobState
from spool.rows import statements

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
_JOB = "spool.tasks.run_bulk_job"


class HandedOver(Exception):
    """Another machine is to go on with the job: this one drains."""


class JobLost(Exception):
    """The job was cancelled, or its lease has lapsed and another worker has it."""


def enqueue(job: BulkJob) -> None:
    """Have a maintenance worker work on it. Never raises: the sweep enqueues what nobody works on."""
    try:
        doorbell.maintenance_queue().enqueue(_JOB, job.id, result_ttl=0, failure_ttl=3600, job_timeout=-1)
    except RedisError as error:
        log.warning("job %d could not be enqueued, the sweep will: %s", job.id, error)


def enqueue_left_behind() -> int:
    """Enqueue what has no worker although it should; how many. The sweep calls it."""
    now = timezone.now()
    # A job that was made a moment ago is in the queue, or being done by the one who made it.
    waiting = Q(lease_until=None, created__lt=now - LEASE) | Q(lease_until__lt=now)
    left = list(BulkJob.objects.filter(waiting, state__in=OPEN)[:20])
    for job in left:
        # It counts as taken for as long as the queue may need.
        BulkJob.objects.filter(id=job.id, leased_by=job.leased_by).update(leased_by="", lease_until=now + LEASE)
        enqueue(job)
    return len(left)


def cancel(job_id: int, actor: Actor) -> bool:
    """Stop after the chunk in hand; what is done stays done. False when it has ended already. Raises NotAllowed."""
    if not may_cancel(actor, BulkJob.objects.filter(id=job_id).first()):
        actor.require_actions()
    now = timezone.now()
    with statements.write_transaction():
        stopped = BulkJob.objects.filter(id=job_id, state__in=OPEN).update(state=JobState.CANCELLED, ended=now)
        if stopped:
            job = BulkJob.objects.select_related("event").get(id=job_id)
            _write_down(job, Result.CANCELLED, cancelled_by=actor.name)
    return bool(stopped)


def may_cancel(actor: Actor, job: BulkJob | None) -> bool:
    """Whether this person stops a job: who handles messages stops what they began themselves."""
    is_own = job is not None and job.actor == actor.name
    return actor.may(Right.ADMINISTER) or (is_own and actor.may(Right.HANDLE))


def work(
    job_id: int,
    *,
    progress: Callable[[BulkJob], None] | None = None,
    pace: bool = True,
    is_to_leave: Callable[[], bool] = lambda: False,
) -> None:
    """Work on a job until its end, unless somebody else does, or until `is_to_leave` says that others are to go on.

    Raises django.db.Error; the sweep then tries again.
    """
    owner = leases.new_owner()
    job = _take(job_id, owner)
    if job is None:
        return
    try:
        _chunks(job, owner, progress, pace, is_to_leave)
    except JobLost:
        log.info("job %d was cancelled or taken over", job_id)
        return
    except HandedOver:
        _hand_over(job, owner)
    except DatabaseError:
        raise
    except (Refused, BadFilter, IntakeError, OSError) as error:
        _end(job, owner, JobState.FAILED, getattr(error, "reply", "") or str(error))
    except Exception as error:  # the edge of a job: it must not be tried for ever
        log.exception("job %d failed", job_id)
        _end(job, owner, JobState.FAILED, repr(error))
    else:
        _end(job, owner, JobState.DONE, "")


def _take(job_id: int, owner: str) -> BulkJob | None:
    now = timezone.now()
    free = Q(lease_until=None) | Q(lease_until__lt=now) | Q(leased_by="")
    with statements.write_transaction():
        taken = BulkJob.objects.filter(free, id=job_id, state__in=OPEN).update(
            leased_by=owner, lease_until=now + LEASE, state=JobState.RUNNING, started=now
        )
    return BulkJob.objects.select_related("event").get(id=job_id) if taken else None


def _hand_over(job: BulkJob, owner: str) -> None:
    with statements.write_transaction():
        ours = BulkJob.objects.filter(id=job.id, leased_by=owner, state=JobState.RUNNING).update(
            leased_by="", lease_until=timezone.now() + LEASE
        )
    if ours:
        log.info("job %d is left to another machine", job.id)
        enqueue(job)


def _chunks(
    job: BulkJob,
    owner: str,
    progress: Callable[[BulkJob], None] | None,
    pace: bool,
    is_to_leave: Callable[[], bool],
) -> None:
    verb = WORKS[job.action]
    if job.cursor == 0 and pace:
        job.total = verb.count(job)
        BulkJob.objects.filter(id=job.id).update(total=job.total)
    here = Pace(rests=pace)
    apart = pace and verb.is_repeatable(job.parameters)
    with statements.many_transactions() if apart else nullcontext(lambda: None) as afterwards:
        if left := verb.half_done(job.event_id):
            context = Context(job.actor, job.event_id, job.id, timezone.now(), job.done)
            for start in range(0, len(left), verb.chunk):
                some = left[start : start + verb.chunk]
                verb.finish(some, job.parameters, context, lambda tally: _advance(job, owner, tally, job.cursor))
        for ids in here.pieces(verb.chunks(job)):
            if is_to_leave():
                raise HandedOver
            started = time.monotonic()
            context = Context(job.actor, job.event_id, job.id, timezone.now(), job.done)
            verb.work(ids, job.parameters, context, lambda tally, last: _advance(job, owner, tally, last))
            working = time.monotonic() - started
            afterwards()
            if progress is not None:
                progress(job)
            here.rest(len(ids), working, time.monotonic() - started)


def _advance(job: BulkJob, owner: str, tally: Tally, last: int) -> None:
    """Note what a chunk did, in its transaction; raises JobLost to take it back."""
    ours = BulkJob.objects.filter(id=job.id, leased_by=owner, state=JobState.RUNNING).update(
        done=F("done") + tally.done,
        busy=F("busy") + tally.busy,
        skipped=F("skipped") + tally.skipped,
        cursor=last,
        lease_until=timezone.now() + LEASE,
        problem=(job.problem or tally.problem)[:500],
    )
    if not ours:
        raise JobLost
    job.done, job.busy, job.skipped = job.done + tally.done, job.busy + tally.busy, job.skipped + tally.skipped
    job.cursor, job.problem = last, (job.problem or tally.problem)[:500]


def _end(job: BulkJob, owner: str, state: JobState, error: str) -> None:
    """End it, and say so in the record of who did what, in one transaction: a worker may die in between."""
    with statements.write_transaction():
        ours = BulkJob.objects.filter(id=job.id, leased_by=owner, state=JobState.RUNNING).update(
            state=state, error=error[:500], ended=timezone.now(), leased_by="", lease_until=None
        )
        if ours:
            job.refresh_from_db()
            _write_down(job, Result.FAILED if state is JobState.FAILED else Result.DONE, error=error[:500])


def _write_down(job: BulkJob, result: Result, **parameters: str) -> None:
    audit.end(job.event, Tally(job.done, job.busy, job.skipped, job.problem), result=result, **parameters)
