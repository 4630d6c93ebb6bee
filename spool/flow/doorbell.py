"""The bell between those who put mail into the spool and the workers. It carries no mail and may be lost.

A running pass listens on a Redis list; a ring wakes one of the listeners. When none listens, a ring enqueues one
`run_pass` job, unless one is queued already. A pass that finds more than it has room for enqueues one, too, for a
worker that is idle, on whichever machine. All keys of the flow of mail are named here.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

import django_rq
from redis.commands.core import Script
from redis.exceptions import RedisError
from rq import Queue

from base.redis_client import redis
from base.redis_pool import ANSWER_SECONDS

log = logging.getLogger(__name__)

LISTENERS = "mailspool:listeners"  # sorted set: pass → when it is taken for dead (UNIX seconds)
WAKE = "mailspool:wake"  # list: at most one token
QUEUED = "mailspool:queued"  # set while a run_pass job waits in the queue
LISTENER_SECONDS = 6
# How often a pass says that it listens, however often it is rung for.
REGISTER_SECONDS = 1.0
# A job that was lost between queue and worker blocks the bell for no longer than this.
QUEUED_SECONDS = 10
_JOB = "spool.tasks.run_pass"

_RING = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZCARD', KEYS[1]) > 0 then
    if redis.call('LLEN', KEYS[2]) == 0 then redis.call('LPUSH', KEYS[2], '1') end
    return 0
end
if redis.call('SET', KEYS[3], '1', 'NX', 'EX', ARGV[2]) then return 1 end
return 0
"""

# Idle workers leave nothing in the queue: what stands there is enough. It may have lapsed, when all were busy for long.
_RING_FOR_ANOTHER = """
if redis.call('LLEN', KEYS[2]) == 0 and redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) then return 1 end
return 0
"""


@cache
def mail_queue() -> Queue:
    """The queue of passes. Kept: making one opens a new connection pool."""
    return cast(Queue, django_rq.get_queue("mail", connection=redis()))


@cache
def maintenance_queue() -> Queue:
    """The queue of everything that is not mail."""
    return cast(Queue, django_rq.get_queue("maintenance", connection=redis()))


@cache
def _ring_script() -> Script:
    return redis().register_script(_RING)


@cache
def _ring_for_another_script() -> Script:
    return redis().register_script(_RING_FOR_ANOTHER)


def ring() -> None:
    """Say that there is mail due. Never raises: the sweep finds what a broken bell has not announced."""
    try:
        if _ring_script()(keys=[LISTENERS, WAKE, QUEUED], args=[time.time(), QUEUED_SECONDS]):
            _enqueue()
    except RedisError as error:
        log.warning("the workers could not be told of new mail, the sweep will: %s", error)


def ring_for_another() -> None:
    """Say that there is more than the pass that calls has room for: one begins in a worker that is idle, if any is.

    Those that run look by themselves, so that a ring for listeners would be answered by the caller. Never raises.
    """
    try:
        if _ring_for_another_script()(keys=[QUEUED, mail_queue().key], args=[QUEUED_SECONDS]):
            _enqueue()
    except RedisError as error:
        log.warning("no other worker could be told that there is more, the sweep will: %s", error)


def _enqueue() -> None:
    mail_queue().enqueue(_JOB, result_ttl=0, failure_ttl=3600, ttl=QUEUED_SECONDS, job_timeout=-1)


class Ringer:
    """Rings from a thread of its own, once for all who asked meanwhile: nobody with mail in hand waits for Redis."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        """Have the bell rung at once, or as soon as Redis answers."""
        self._asked.set()

    def close(self) -> None:
        """Wait for the last ring, but no longer than for one answer."""
        self._ending = True
        self._asked.set()
        self._thread.join(ANSWER_SECONDS)

    def _run(self) -> None:
        while not self._ending:
            self._asked.wait()
            self._asked.clear()
            try:
                ring()
            except Exception:  # the edge of the thread: it must not end before its process
                log.exception("the bell could not be rung, the sweep will", extra={"seldom": True})


def ring_at(moment: datetime) -> None:
    """Have RQ's scheduler start a pass at `moment`; one job per second at most."""
    job_id = f"pass-at-{int(moment.timestamp())}"
    try:
        if redis().set(f"mailspool:{job_id}", "1", nx=True, ex=max(1, _seconds_until(moment) + 60)):
            mail_queue().enqueue_at(moment, _JOB, job_id=job_id, result_ttl=0, failure_ttl=3600, job_timeout=-1)
    except RedisError as error:
        log.warning("the next attempt could not be scheduled, the sweep will start it: %s", error)


def _seconds_until(moment: datetime) -> int:
    return int((moment - datetime.now(moment.tzinfo)) / timedelta(seconds=1))


def answered() -> None:
    """A queued pass has begun: the next ring may queue another."""
    redis().delete(QUEUED)


class Listening:
    """One pass's ear on the bell. Blocking calls, for a thread of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._client: Any = redis()
        self._registered = float("-inf")

    def register(self) -> None:
        """Be one of those whom a ring wakes, for the next seconds."""
        if time.monotonic() - self._registered >= REGISTER_SECONDS:
            self._client.zadd(LISTENERS, {self.name: time.time() + LISTENER_SECONDS})
            self._registered = time.monotonic()

    def leave(self) -> bool:
        """Stop listening; whether a ring was still unanswered, which the caller then has to answer."""
        self.forget()
        self._client.zrem(LISTENERS, self.name)
        return self._client.lpop(WAKE) is not None

    def forget(self) -> None:
        """Register anew next time: Redis may have lost us."""
        self._registered = float("-inf")

    def wait(self, seconds: float) -> bool:
        """Whether the bell rang within `seconds`."""
        return self._client.blpop([WAKE], timeout=seconds) is not None
