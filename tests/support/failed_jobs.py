"""Jobs as RQ leaves those that failed, made without a worker: as many as wanted."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone
from rq import Queue
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.results import Result

from base import redis_client
from spool.flow import doorbell

TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1\nOSError: [Errno 28] No space <left> on device\n'


def fail(job_id: str, call: str = "spool.tasks.forget", *, times: int = 1, queue: Queue | None = None) -> Job:
    """One that failed so often."""
    [job] = fail_many([job_id], call, times=times, queue=queue)
    return job


def fail_many(
    ids: Sequence[str], call: str = "spool.tasks.forget", *, times: int = 1, queue: Queue | None = None
) -> list[Job]:
    queue = queue or doorbell.maintenance_queue()
    registry, made = FailedJobRegistry(queue=queue), []
    with redis_client.redis().pipeline(transaction=False) as pipeline:
        for one in ids:
            job = queue.create_job(call, job_id=one, failure_ttl=3600, result_ttl=0, status=JobStatus.FAILED)
            job.ended_at = timezone.now()
            job.save(pipeline=pipeline)
            for _ in range(times):
                Result.create_failure(job, 3600, TRACEBACK, pipeline=pipeline)
            registry.add(job, ttl=3600, pipeline=pipeline)
            made.append(job)
        pipeline.execute()
    return made


def failed_ids() -> set[str]:
    """Of both queues."""
    queues = (doorbell.mail_queue(), doorbell.maintenance_queue())
    return {one for queue in queues for one in FailedJobRegistry(queue=queue).get_job_ids(cleanup=False)}
