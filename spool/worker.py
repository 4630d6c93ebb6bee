"""The RQ worker that runs passes: it does not fork for a job, and tells a running pass when it is to end.

It needs no Redis to deliver mail: while there is none, pass follows pass.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from typing import Any

from django.utils import timezone
from redis.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq import SimpleWorker
from rq.exceptions import StopRequested
from rq.worker import WorkerStatus

from mailspool import garbage, schema
from spool import doorbell, passes

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10
ALIVE_SECONDS = 30
# How often an idle worker looks up from waiting for a job.
LOOK_UP_SECONDS = 5
STOPPING = (signal.SIGTERM, signal.SIGINT)
REDIS_IS_AWAY = (RedisConnectionError, RedisTimeoutError)


def beat(key: str, stop: threading.Event) -> None:
    """Keep `key` alive in Redis until `stop`, for /readyz; a Redis that is away is no reason to end."""
    while True:
        try:
            doorbell.redis().set(key, "1", ex=ALIVE_SECONDS)
        except RedisError as error:
            log.debug("no heartbeat: %s", error)
        if stop.wait(HEARTBEAT_SECONDS):
            break
    try:
        doorbell.redis().delete(key)
    except RedisError as error:
        log.debug("heartbeat not removed: %s", error)


def deliver_without_redis() -> None:
    """Run passes until Redis answers, or until a signal says to end: the database knows what is due."""
    log.warning("Redis is away: mail is delivered without it")
    before = [(number, signal.signal(number, _on_signal)) for number in STOPPING]
    try:
        while not passes.is_stopping() and not _redis_answers():
            passes.run()
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    if not passes.is_stopping():
        log.warning("Redis is back")


def _on_signal(number: int, frame: Any) -> None:
    passes.request_stop()


def _redis_answers() -> bool:
    try:
        return bool(doorbell.redis().ping())
    except RedisError:
        return False


class PassWorker(SimpleWorker):
    """`manage.py rqworker mail --worker-class spool.worker.PassWorker`."""

    # A Redis that is back is seen soon; RQ would wait for up to a minute.
    max_connection_wait_time = float(LOOK_UP_SECONDS)

    @property
    def dequeue_timeout(self) -> int:
        return LOOK_UP_SECONDS

    def __init__(self, queues: Any, *args: Any, **kwargs: Any) -> None:
        schema.wait()
        try:
            super().__init__(queues, *args, **kwargs)
        except REDIS_IS_AWAY:
            if any(getattr(queue, "name", queue) == "mail" for queue in queues):
                deliver_without_redis()
            if passes.is_stopping():
                raise SystemExit(0) from None
            super().__init__(queues, *args, **kwargs)

    def work(self, *args: Any, **kwargs: Any) -> bool:
        garbage.settle()
        stop = threading.Event()
        kind = ",".join(queue.name for queue in self.queues)
        key = f"mailspool:worker:{kind}:{socket.gethostname()}:{os.getpid()}"
        thread = threading.Thread(target=beat, args=(key, stop), name="heartbeat", daemon=True)
        thread.start()
        try:
            return bool(super().work(*args, **kwargs))
        except REDIS_IS_AWAY:
            if not self._stop_requested and self._deliver_meanwhile():
                return True
            raise
        finally:
            stop.set()
            thread.join(2)

    def request_stop(self, signum: Any, frame: Any) -> None:
        """SIGTERM: the pass finishes what is on the wire, gives the rest back and ends. A second one ends at once.

        RQ's own tells Redis of it, in the middle of whatever the signal interrupts: without Redis that is an error
        there, which would cut off a pass that is delivering.
        """
        self._stop_requested = True
        self._shutdown_requested_date = timezone.now()
        for number in STOPPING:
            signal.signal(number, self.request_force_stop)
        passes.request_stop()
        self._end_if_idle()

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """RQ's, each time that it looks up from waiting.

        The end is asked for once more: an exception that a signal raises is lost when it meets one of the places that
        swallow all of them, as logging and finalisers do.
        """
        if pipeline is None and self._stop_requested:
            self._end_if_idle()
        try:
            super().heartbeat(timeout, pipeline)
        except REDIS_IS_AWAY:
            if pipeline is None and self.get_state() == WorkerStatus.IDLE and self._deliver_meanwhile():
                raise StopRequested from None
            raise

    def _deliver_meanwhile(self) -> bool:
        """Deliver mail, if that is what this worker is for, until Redis is back; whether it is to end."""
        if "mail" in self.queue_names():
            deliver_without_redis()
        self._stop_requested = self._stop_requested or passes.is_stopping()
        return self._stop_requested

    def _end_if_idle(self) -> None:
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested
