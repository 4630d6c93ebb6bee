"""The RQ worker that runs passes: it does not fork for a job, and tells a running pass when it is to end."""

from __future__ import annotations

import logging
import os
import socket
import threading
from typing import Any

from redis.exceptions import RedisError
from rq import SimpleWorker

from mailspool import garbage
from spool import doorbell, passes

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10
ALIVE_SECONDS = 30


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


class PassWorker(SimpleWorker):
    """`manage.py rqworker mail --worker-class spool.worker.PassWorker`."""

    def work(self, *args: Any, **kwargs: Any) -> bool:
        garbage.settle()
        stop = threading.Event()
        kind = ",".join(queue.name for queue in self.queues)
        key = f"mailspool:worker:{kind}:{socket.gethostname()}:{os.getpid()}"
        thread = threading.Thread(target=beat, args=(key, stop), name="heartbeat", daemon=True)
        thread.start()
        try:
            return bool(super().work(*args, **kwargs))
        finally:
            stop.set()
            thread.join(2)

    def request_stop(self, signum: Any, frame: Any) -> None:
        """SIGTERM: the pass finishes what is on the wire, gives the rest back and ends."""
        passes.request_stop()
        super().request_stop(signum, frame)
