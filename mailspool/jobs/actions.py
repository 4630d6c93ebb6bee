"""What is done to jobs that failed: queue them again, or forget them. One, some, or all of a kind."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _lazy
from redis import Redis
from redis.exceptions import WatchError
from rq import Queue
from rq.job import Job
from rq.registry import FailedJobRegistry

from base.actions.action import Change, Refused, SingleAction, Target, Written
from base.audit.sentences import few
from base.audit.subjects import Subject
from base.numbers import grouped
from base.texts import Text
from mailspool.jobs.kinds import function_of, label_of
from mailspool.jobs.reading import RedisIsAway, answered, called, chosen, queues
from spool.actions.actor import Actor

# Every failed job, whatever it calls.
ALL: Final = "all"
# So many at a time, so many in all, and for so long: whoever asked waits for it.
_CHUNK: Final = 200
_MOST: Final = 50_000
_SECONDS: Final = 20.0
_TRIES: Final = 10
_ID: Final = re.compile(r"[\w-]{1,200}", re.ASCII)
_FUNCTION: Final = re.compile(r"[\w.<>]{1,200}", re.ASCII)


def job_named(key: str) -> Target | None:
    """A job by its id. While Redis is away it is taken for one: whatever is done to it says so."""
    if not _ID.fullmatch(key):
        return None
    try:
        with answered() as client:
            job = chosen(client, [key]).get(key)
            is_failed = any(client.zscore(FailedJobRegistry(queue=queue).key, key) is not None for queue in queues())
    except RedisIsAway:
        return Target.of("job", key)
    return Target("job", (key,), (called(job),) if job else ()) if is_failed else None


def jobs_named(key: str) -> Target | None:
    """All failed jobs that call a function, or ALL."""
    return Target.of("jobs", key) if _FUNCTION.fullmatch(key) else None


def all_of_its_kind(target: Target) -> Iterator[Target]:
    """What a job is one of."""
    if target.kind == "job":
        yield from (Target.of("jobs", function) for function in target.rows if function)


@dataclass(slots=True)
class _Progress:
    done: list[str]
    gone: int = 0
    left: int = 0
    error: str = ""


class _OfFailed(SingleAction[Actor]):
    """For system administrators alone. Redis is no part of a transaction: what is done there is written down after."""

    kinds = ("job", "jobs")
    in_transaction = False
    # "12 jobs …"
    past: ClassVar[Text]

    def require(self, actor: Actor, target: Target) -> None:
        actor.require_administration()

    def label_of(self, target: Target) -> str:
        if target.kind == "job":
            return str(self.label)
        if target.key == ALL:
            return gettext("%(label)s all") % {"label": self.label}
        return gettext("%(label)s all: %(jobs)s") % {"label": self.label, "jobs": label_of(target.key)}

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        progress = _Progress([])
        try:
            with answered() as client:
                self._work(client, target, progress)
        except RedisIsAway as error:
            if not progress.done:
                raise Refused(str(error)) from error
            progress.error = f" {error}"
        count = len(progress.done)
        if not count and not progress.gone:
            raise Refused(gettext("None of them has failed any more: look at the list again."))
        said = ngettext("%(count)s job %(past)s.", "%(count)s jobs %(past)s.", count) % {
            "count": grouped(count),
            "past": self.past,
        }
        if progress.gone:
            said += ngettext(
                " %(gone)s had lapsed, and is forgotten.", " %(gone)s had lapsed, and are forgotten.", progress.gone
            ) % {"gone": grouped(progress.gone)}
        if progress.left:
            said += gettext(" %(left)s are left: that took too long. Do it again for those.") % {
                "left": grouped(progress.left)
            }
        written = Written(
            on=self._about(target),
            done=count + progress.gone,
            parameters={"jobs": few(progress.done), "gone": progress.gone},
            about=Subject("job", target.key) if len(target.keys) == 1 else None,
        )
        good = not (progress.left or progress.error) and bool(count or self is FORGET)
        return Change(f"{said}{progress.error}", [written], count, good=good)

    def _about(self, target: Target) -> str:
        if target.kind == "job":
            return f"failed job{'' if len(target.keys) == 1 else 's'} {target}"
        return "all failed jobs" if target.key == ALL else f"all failed jobs of {target.key}"

    def _work(self, client: Redis, target: Target, progress: _Progress) -> None:
        ends = time.monotonic() + _SECONDS
        for queue in queues():
            registry = FailedJobRegistry(queue=queue)
            ids = list(target.keys)[:_MOST]
            if target.kind == "jobs":
                ids = registry.get_job_ids(0, _MOST - 1, desc=True, cleanup=False)
            for start in range(0, len(ids), _CHUNK):
                if time.monotonic() > ends:
                    progress.left += len(ids) - start
                    break
                self._chunk(client, queue, registry, target, ids[start : start + _CHUNK], progress)

    def _chunk(
        self,
        client: Redis,
        queue: Queue,
        registry: FailedJobRegistry,
        target: Target,
        ids: Sequence[str],
        progress: _Progress,
    ) -> None:
        jobs = chosen(client, ids)
        if target.kind == "jobs" and target.key != ALL:
            ids = [one for one in ids if one in jobs and function_of(jobs[one].description or "") == target.key]
        if not ids:
            return
        for _ in range(_TRIES):
            try:
                mine, gone = self._at_once(client, queue, registry, ids, jobs)
                break
            except WatchError:
                # A job failed, or somebody else did the same, just now.
                continue
        else:
            progress.left += len(ids)
            return
        progress.done += mine
        progress.gone += gone

    def _at_once(
        self, client: Redis, queue: Queue, registry: FailedJobRegistry, ids: Sequence[str], jobs: Mapping[str, Job]
    ) -> tuple[list[str], int]:
        """All of it or nothing: two who do the same share what there is, and none is lost between two lists.

        Raises WatchError.
        """
        with client.pipeline() as pipeline:
            pipeline.watch(registry.key)  # type: ignore[no-untyped-call]
            with client.pipeline(transaction=False) as asking:
                for one in ids:
                    asking.zscore(registry.key, one)
                listed = [one for one, score in zip(ids, asking.execute(), strict=True) if score is not None]
            if not listed:
                return [], 0
            mine = [one for one in listed if one in jobs]
            pipeline.multi()
            for one in listed:
                registry.remove(one, pipeline=pipeline)
            for one in mine:
                self._of_one(queue, jobs[one], pipeline)
            pipeline.execute()
        return mine, len(listed) - len(mine)

    def _of_one(self, queue: Queue, job: Job, pipeline: Any) -> None:
        raise NotImplementedError


class RetryJob(_OfFailed):
    """Queues jobs that failed again."""

    name, label, icon = "job-retry", _lazy("Retry"), "replay"
    past = _lazy("queued again")

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return ngettext(
            "It is queued again, behind what waits already, and run as soon as a worker is free.",
            "They are queued again, behind what waits already, and run as soon as a worker is free.",
            len(target.keys) if target.kind == "job" else 2,
        )

    def _of_one(self, queue: Queue, job: Job, pipeline: Any) -> None:
        job.started_at = job.ended_at = None
        queue.enqueue_job(job, pipeline=pipeline)


class ForgetJob(_OfFailed):
    """Forgets jobs that failed, and their errors."""

    name, label, icon = "job-forget", _lazy("Forget"), "delete"
    past = _lazy("forgotten")
    danger = True

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return ngettext(
            "It is forgotten, with the errors. No mail is lost: what is due stands in the database, and is begun again"
            " by itself. This can't be undone.",
            "They are forgotten, with the errors. No mail is lost: what is due stands in the database, and is begun"
            " again by itself. This can't be undone.",
            len(target.keys) if target.kind == "job" else 2,
        )

    def _of_one(self, queue: Queue, job: Job, pipeline: Any) -> None:
        job.delete(pipeline=pipeline, remove_from_queue=False)


RETRY, FORGET = RetryJob(), ForgetJob()
BY_NAME: Final[Mapping[str, SingleAction[Actor]]] = {"retry": RETRY, "forget": FORGET}
