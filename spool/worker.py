"""The RQ worker that runs passes: it does not fork for a job, and tells a running pass when it is to end.

It needs no Redis to deliver mail: while there is none, pass follows pass. One for other work waits. Neither ends
because of Redis, however long it is away and whatever it answers: systemd would give up starting it again.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any

from django.utils import timezone
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import NoSuchJobError, StopRequested
from rq.executions import Execution
from rq.job import Job
from rq.worker import WorkerStatus

from base import garbage, redis_client
from spool.files import preconditions
from spool.flow import passes
from spool.monitoring import programs
from spool.monitoring.heartbeat import Heart
from spool.monitoring.names import JOB, JOB_CALL, JOB_SINCE, LEASES, MAINTENANCE, RQ_NAME, WORKERS
from spool.rows import statements

log = logging.getLogger(__name__)

# How often an idle worker looks up from waiting for a job.
LOOK_UP_SECONDS = 5
# How much longer than that Redis may take to answer.
ANSWER_SECONDS = 3
# How often RQ is told that a long job is being worked on; it takes one for lost after ninety seconds.
JOB_HEARTBEAT_SECONDS = 20
# How much of a job's call is told of it.
LONGEST_CALL = 300
STOPPING = (signal.SIGTERM, signal.SIGINT)
# How often one whose machine drains looks whether it may work again.
REST_SECONDS = 1.0
# Whether this process works on nothing, nor will before its machine is resumed.
_rests = False


def rest_while_draining(goes_on: Callable[[], bool], look_up: Callable[[], None] = lambda: None) -> None:
    """Take nothing while this machine drains, as long as `goes_on` says so; `look_up` is called now and then."""
    global _rests
    try:
        while programs.is_draining() and goes_on():
            _rests = True
            look_up()
            time.sleep(REST_SECONDS)
    finally:
        _rests = False


def outlive_redis(*, deliver: bool) -> None:
    """Wait until Redis takes what it is given, or until a signal says to end; meanwhile deliver mail if asked to.

    The database knows what is due.
    """
    if passes.is_stopping() or redis_client.is_there():
        return
    log.warning(
        "Redis is away: %s", "mail is delivered without it" if deliver else "work waits for it", extra={"seldom": True}
    )
    before = [(number, signal.signal(number, _on_signal)) for number in STOPPING]
    try:
        while not passes.is_stopping() and not redis_client.is_there():
            rest_while_draining(lambda: not passes.is_stopping() and not redis_client.is_there())
            if deliver:
                _pass()
            else:
                time.sleep(1)
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    if not passes.is_stopping():
        log.warning("Redis is back")


def _pass() -> None:
    try:
        passes.run()
    except Exception:  # the edge of the process: RQ, which would catch it, is not there
        log.exception("a pass without Redis failed")
        time.sleep(1)


def _on_signal(number: int, frame: Any) -> None:
    passes.request_stop()


class PassWorker(SimpleWorker):
    """`manage.py rqworker mail --worker-class spool.worker.PassWorker`."""

    # A Redis that is back is seen soon; RQ would wait for up to a minute.
    max_connection_wait_time = float(LOOK_UP_SECONDS)
    # Whether RQ's loop was left for want of Redis.
    _is_lost = False
    # What is told of the job in its hands. RQ's own record of a busy worker lapses, and goes when Redis is emptied.
    _at_work: Mapping[str, int | str] = MappingProxyType({})

    @property
    def dequeue_timeout(self) -> int:
        return LOOK_UP_SECONDS

    @property
    def connection_timeout(self) -> int:
        return LOOK_UP_SECONDS + ANSWER_SECONDS

    def __init__(self, queues: Any, *args: Any, **kwargs: Any) -> None:
        preconditions.wait()
        names = {getattr(queue, "name", queue) for queue in queues}
        deliver = "mail" in names
        if names == {"mail"}:
            statements.keep_statements()
        while True:
            try:
                super().__init__(queues, *args, **kwargs)
                return
            except RedisError as error:
                log.warning("the worker can't start yet: %s", error)
            outlive_redis(deliver=deliver)
            if passes.is_stopping():
                raise SystemExit(0)
            time.sleep(1)

    def work(self, *args: Any, **kwargs: Any) -> bool:
        """RQ's, until it has been asked to end or has done what it was to do. What else makes RQ's end is outlived."""
        garbage.settle()
        worked, ends_by_itself = False, any(kwargs.get(name) for name in ("burst", "max_jobs", "max_idle_time"))
        with self._heart(), suppress(StopRequested):
            while True:
                try:
                    worked |= super().work(*args, **kwargs)
                except RedisError as error:
                    log.warning("RQ ends for Redis: %s", error)
                if self._stop_requested or ends_by_itself:
                    break
                self._outlive()
        return worked

    def _outlive(self) -> None:
        """Wait for Redis, and be as new. Raises StopRequested."""
        outlive_redis(deliver="mail" in self.queue_names())
        if self._stop_requested or passes.is_stopping():
            raise StopRequested
        # Whatever it was, it may be the same again at once.
        time.sleep(1)
        self._bury()

    def _bury(self) -> None:
        """Remove what RQ may still have of this worker and of the job in its hands: it would refuse a second birth, and
        count the job as failed, though the database knows what is left to do."""
        begun = list(self.executions.values())
        self.executions.clear()
        self._state, self._is_lost = WorkerStatus.STARTED, False
        try:
            self.connection.delete(self.key, self.executions_key)
            for execution in begun:
                try:
                    execution.job.delete()
                except NoSuchJobError:
                    continue
        except RedisError as error:
            log.warning("what RQ knew of this worker could not be removed: %s", error)

    @contextmanager
    def _heart(self) -> Iterator[None]:
        kind = WORKERS if "mail" in self.queue_names() else MAINTENANCE
        end = Heart(kind, self._shows, lambda: passes.in_work() + (not _rests)).start()
        try:
            yield
        finally:
            end()

    def _shows(self) -> dict[str, int | str]:
        leases = {LEASES: passes.in_work()} if "mail" in self.queue_names() else {}
        return {RQ_NAME: self.name, **leases, **self._at_work}

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """RQ's; nothing is taken while this machine drains: others have the queue.

        RQ's own waits until there is a job, or for `max_idle_time`: it is asked for a moment at a time.
        """
        # Neither of them waits for ever.
        is_short = timeout is None or max_idle_time is not None
        while True:
            if programs.is_draining():
                self.set_state(WorkerStatus.IDLE)
                rest_while_draining(lambda: True, self.heartbeat)
            found = super().dequeue_job_and_maintain_ttl(timeout, max_idle_time if is_short else LOOK_UP_SECONDS)
            if found is not None or is_short:
                return found

    def subscribe(self) -> None:
        """RQ's listens for commands that end a forked job. There is none, and its thread would end with Redis."""

    def register_death(self) -> None:
        if self._is_lost:
            return
        try:
            super().register_death()
        except RedisError as error:
            log.debug("RQ forgets this worker by itself: %s", error)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """In this process, and known to be worked on for as long as that takes: a pass may last for hours."""
        execution = self.prepare_execution(job)
        stop = threading.Event()
        thread = threading.Thread(target=self._keep_known, args=(job, execution, stop), name="job", daemon=True)
        thread.start()
        call = (job.description or "")[:LONGEST_CALL].replace("\x00", "")
        self._at_work = {JOB: job.id, JOB_CALL: call, JOB_SINCE: int(time.time())}
        try:
            self.perform_job(job, queue, execution)
        finally:
            self._at_work = {}
            stop.set()
            # Before the job is forgotten or another begins.
            thread.join(self.connection_timeout)
        self.set_state(WorkerStatus.IDLE)

    def _keep_known(self, job: Job, execution: Execution, stop: threading.Event) -> None:
        while not stop.wait(JOB_HEARTBEAT_SECONDS):
            try:
                self.maintain_heartbeats(job, execution)
            except RedisError as error:
                log.debug("RQ could not be told that %s goes on: %s", job.id, error)

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
        swallow all of them, as logging and finalisers do. Without Redis RQ's loop is left, as if to end.
        """
        if pipeline is None and self._stop_requested:
            self._end_if_idle()
        try:
            super().heartbeat(timeout, pipeline)
        except RedisError as error:
            if pipeline is None and self.get_state() == WorkerStatus.IDLE:
                log.debug("no heartbeat: %s", error)
                self._is_lost = True
                raise StopRequested from None
            raise

    def _end_if_idle(self) -> None:
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested
