"""Asking RQ about its queues and their jobs, without changing anything: a few calls, each for many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from django.utils.translation import gettext
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.registry import FailedJobRegistry, ScheduledJobRegistry, StartedJobRegistry
from rq.results import Result

from base.redis_client import redis
from spool.flow import doorbell

# Of what runs, and of what is scheduled, a page shows no more.
MOST: Final = 50
PAGE: Final = 50
# RQ keeps the results of so many attempts of a job.
MOST_RESULTS: Final = 10
_LONGEST_ERROR: Final = 300
_LONGEST_TRACEBACK: Final = 100_000


class RedisIsAway(Exception):
    """Redis did not answer in time; the message says what that means."""


@dataclass(frozen=True, slots=True)
class Named:
    """A job by its id, what it calls (RQ's description: the function and its arguments), and where it is queued."""

    id: str
    call: str
    queue: str
    worker: str = ""
    # When it was queued, begun, is due or has failed: whatever the list that it stands in is about.
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Failed(Named):
    """A job that failed: the last line of its error, and how many of its attempts are known of."""

    error: str = ""
    attempts: int = 0
    # RQ's record of it has lapsed before that it has failed: only its id is known.
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class QueueState:
    """How many jobs a queue has of each kind, and which waits longest."""

    name: str
    waiting: int
    running: int
    scheduled: int
    failed: int
    oldest: Named | None = None


@dataclass(frozen=True, slots=True)
class State:
    """All queues, and the first of what runs, by its beginning, and of what is scheduled, by when it is due."""

    queues: tuple[QueueState, ...]
    running: tuple[Named, ...]
    scheduled: tuple[Named, ...]

    @property
    def failed(self) -> int:
        return sum(queue.failed for queue in self.queues)

    @property
    def more_scheduled(self) -> int:
        return max(0, sum(queue.scheduled for queue in self.queues) - len(self.scheduled))

    @property
    def more_running(self) -> int:
        return max(0, sum(queue.running for queue in self.queues) - len(self.running))


@dataclass(frozen=True, slots=True)
class FailedPage:
    """Some of what has failed, the latest first. `next` is the place behind them; "" at the end."""

    jobs: tuple[Failed, ...]
    next: str


@dataclass(frozen=True, slots=True)
class Whole:
    """All that is known of one job."""

    job: Named
    status: str
    created: datetime | None
    enqueued: datetime | None
    started: datetime | None
    ended: datetime | None
    traceback: str
    attempts: int


@contextmanager
def answered() -> Iterator[Redis]:
    """Redis, for a few questions, each with a time limit. Raises RedisIsAway."""
    try:
        yield redis()
    except RedisError as error:
        raise RedisIsAway(
            gettext(
                "Redis does not answer (%(rstrip)s). Mail is delivered without it; other jobs wait until it is back."
            )
            % {"rstrip": str(error).rstrip(".") or type(error).__name__}
        ) from error


def queues() -> tuple[Queue, ...]:
    return (doorbell.mail_queue(), doorbell.maintenance_queue())


def state() -> State:
    """How things are. Two calls. Raises RedisIsAway."""
    with answered() as client:
        with client.pipeline(transaction=False) as pipeline:
            for queue in queues():
                pipeline.llen(queue.key)
                pipeline.zcard(StartedJobRegistry(queue=queue).key)
                pipeline.zcard(ScheduledJobRegistry(queue=queue).key)
                pipeline.zcard(FailedJobRegistry(queue=queue).key)
                pipeline.lrange(queue.key, 0, 0)
                pipeline.zrange(StartedJobRegistry(queue=queue).key, 0, MOST - 1)
                pipeline.zrange(ScheduledJobRegistry(queue=queue).key, 0, MOST - 1, withscores=True)
            answers = pipeline.execute()
        each = [answers[start : start + 7] for start in range(0, len(answers), 7)]
        first = [[_text(one) for one in answer[4]] for answer in each]
        begun = [[StartedJobRegistry.parse_job_id(one) for one in answer[5]] for answer in each]
        due = {_text(one): score for answer in each for one, score in answer[6]}
        jobs = _fetched(client, [one for ids in (*first, *begun) for one in ids] + list(due))
    running = [_named(jobs[one], jobs[one].started_at) for ids in begun for one in ids if one in jobs]
    scheduled = [_named(jobs[one], _moment(due[one])) for one in sorted(due, key=lambda one: due[one]) if one in jobs]
    return State(
        tuple(
            QueueState(
                queue.name, answer[0], answer[1], answer[2], answer[3], _waiting(jobs.get(ids[0]) if ids else None)
            )
            for queue, answer, ids in zip(queues(), each, first, strict=True)
        ),
        tuple(sorted(running, key=lambda one: (one.at is None, one.at))),
        tuple(scheduled[:MOST]),
    )


def failed(place: str = "", size: int = PAGE) -> FailedPage:
    """Jobs that failed, from a place on. Three calls. Raises RedisIsAway."""
    offsets = _offsets(place)
    with answered() as client:
        with client.pipeline(transaction=False) as pipeline:
            for queue, offset in zip(queues(), offsets, strict=True):
                key = FailedJobRegistry(queue=queue).key
                pipeline.zrange(key, offset, offset + size, desc=True, withscores=True)
            answers = pipeline.execute()
        # Each with until when it is kept: in order of that, and so nearly always of when it failed.
        listed = [(score, nth, _text(one)) for nth, answer in enumerate(answers) for one, score in answer]
        listed.sort(key=lambda one: -one[0])
        shown = listed[:size]
        found = _with_errors(client, [one for _, _, one in shown])
    for _, nth, _ in shown:
        offsets[nth] += 1
    names = [queue.name for queue in queues()]
    jobs = (found.get(one) or Failed(one, "", names[nth], is_gone=True) for _, nth, one in shown)
    return FailedPage(tuple(jobs), "-".join(map(str, offsets)) if len(listed) > size else "")


def waiting(size: int) -> list[Named]:
    """Jobs that wait in the queues, those that come first first. Two calls. Raises RedisIsAway."""
    with answered() as client:
        with client.pipeline(transaction=False) as pipeline:
            for queue in queues():
                pipeline.lrange(queue.key, 0, size - 1)
            ids = [_text(one) for answer in pipeline.execute() for one in answer]
        jobs = _fetched(client, ids)
    return [_named(jobs[one], jobs[one].enqueued_at) for one in ids if one in jobs][:size]


def whole(job_id: str) -> Whole | None:
    """One job with its whole error; None for one that is not there. Raises RedisIsAway."""
    with answered() as client:
        job = _fetched(client, [job_id]).get(job_id)
        if job is None:
            return None
        (result, attempts), *_ = _results(client, [job_id])
    return Whole(
        _named(job, job.ended_at),
        str(job.get_status(refresh=False).value),
        job.created_at,
        job.enqueued_at,
        job.started_at,
        job.ended_at,
        ((result.exc_string if result else "") or "")[-_LONGEST_TRACEBACK:],
        attempts,
    )


def chosen(client: Redis, ids: Sequence[str]) -> dict[str, Job]:
    """RQ's own jobs by their ids: without those that are gone. One call. Raises RedisError."""
    return _fetched(client, ids)


def called(job: Job) -> str:
    """The function that it calls, by its whole name."""
    return (job.description or "").partition("(")[0]


def _with_errors(client: Redis, ids: Sequence[str]) -> dict[str, Failed]:
    jobs = _fetched(client, ids)
    found = {}
    for one, (result, attempts) in zip(ids, _results(client, ids), strict=True):
        if one in jobs:
            job, text = jobs[one], (result.exc_string if result else "") or ""
            error = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
            at = result.created_at if result else job.ended_at
            found[one] = Failed(
                job.id, job.description or "", job.origin, job.worker_name or "", at, error[:_LONGEST_ERROR], attempts
            )
    return found


def _fetched(client: Redis, ids: Sequence[str]) -> dict[str, Job]:
    """RQ makes nothing of the others if one is no job; then each is asked for by itself."""
    if not ids:
        return {}
    try:
        jobs = Job.fetch_many(ids, connection=client)
    except NoSuchJobError:
        jobs = [_one(client, one) for one in ids]
    return {one: job for one, job in zip(ids, jobs, strict=True) if job is not None}


def _one(client: Redis, job_id: str) -> Job | None:
    try:
        return Job.fetch(job_id, connection=client)
    except NoSuchJobError:
        return None


def _results(client: Redis, ids: Sequence[str]) -> list[tuple[Result | None, int]]:
    """Of each the last result, and how many there are."""
    if not ids:
        return []
    with client.pipeline(transaction=False) as pipeline:
        for one in ids:
            pipeline.xrevrange(Result.get_key(one), count=1)
            pipeline.xlen(Result.get_key(one))
        answers = pipeline.execute()
    pairs = zip(ids, answers[::2], answers[1::2], strict=True)
    return [(_result(client, one, last), cast(int, count)) for one, last, count in pairs]


def _result(client: Redis, job_id: str, last: Any) -> Result | None:
    return Result.restore(job_id, last[0][0].decode(), last[0][1], connection=client) if last else None


def _named(job: Job, at: datetime | None) -> Named:
    return Named(job.id, job.description or "", job.origin, job.worker_name or "", at)


def _waiting(job: Job | None) -> Named | None:
    return None if job is None else _named(job, job.enqueued_at)


def _offsets(place: str) -> list[int]:
    """How many of each queue come before a place; from the beginning where it is none."""
    words = place.split("-")
    if len(words) != len(queues()) or not all(word.isascii() and word.isdigit() and len(word) < 8 for word in words):
        return [0] * len(queues())
    return list(map(int, words))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
