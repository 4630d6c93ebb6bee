"""A worker ends when it is asked to, whatever the request meets in it, and is known to be at work meanwhile."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rq import Queue
from rq.job import JobStatus

from tests.support.daemon import Daemon
from tests.support.mailspool_process import PROJECT
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.sqlite

# Asked in the midst of a line that it logs, where any exception is swallowed.
ASKED_WHILE_IT_LOGS = """
import logging, os, signal, threading

import django
from django.core.management import call_command

django.setup()
call_command("migrate", verbosity=0)


class Asking(logging.Handler):
    asked = False

    def emit(self, record):
        here = threading.current_thread() is threading.main_thread()
        if here and "could not connect" in record.getMessage() and not self.asked:
            try:
                self.asked = True
                os.kill(os.getpid(), signal.SIGTERM)
                os.getpid()
            except Exception as error:
                print(f"swallowed {type(error).__name__}", flush=True)


logging.getLogger("rq.worker").filters.clear()
logging.getLogger("rq.worker").addHandler(Asking())
call_command("rqworker", "mail", worker_class="spool.worker.PassWorker")
"""

# With a sign of life five times a second.
QUICK_TO_TELL = """
import django
from django.core.management import call_command

django.setup()
call_command("migrate", verbosity=0)
from spool import worker

worker.JOB_HEARTBEAT_SECONDS = 0.2
call_command("rqworker", "maintenance", worker_class="spool.worker.PassWorker")
"""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    # The paths of pytest may be too long for a socket.
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(tmp_path / "redis", Path(folder) / "redis.sock")
        server.start()
        yield server
        server.kill()


@pytest.mark.long
def test_a_long_job_is_not_taken_for_lost_and_its_worker_is_known(redis: RedisServer, tmp_path: Path) -> None:
    env = {**os.environ, "REDIS_URL": redis.url, "PYTHONUNBUFFERED": "1"}
    worker = Daemon("worker", [sys.executable, "-c", QUICK_TO_TELL], tmp_path / "log", env=env, cwd=PROJECT)
    queue = Queue("maintenance", connection=redis.client())
    job = queue.enqueue("time.sleep", 300, result_ttl=0, job_timeout=-1)
    worker.start()
    try:
        wait_until(lambda: job.get_status() == JobStatus.STARTED, "it is at work", 30)
        with redis.client() as client:
            [key] = client.smembers("rq:workers:maintenance")
            [execution] = client.zrange("rq:wip:maintenance", 0, -1)
            # Hours of a pass: everything is about to be forgotten.
            client.expire(key, 5)
            client.zadd("rq:wip:maintenance", {execution: time.time() + 5})
            client.expire(f"rq:execution:{execution.decode()}", 5)

            wait_until(lambda: client.ttl(key) > 60, "the worker's key is kept", 4)
            wait_until(lambda: client.zscore("rq:wip:maintenance", execution) > time.time() + 60, "the job is known", 4)
            wait_until(lambda: client.ttl(f"rq:execution:{execution.decode()}") > 60, "as being worked on", 4)
            client.delete(key)
            wait_until(lambda: client.hget(key, "queues") == b"maintenance", "a forgotten worker is known again", 4)
    finally:
        worker.kill()


def test_an_idle_worker_ends_though_the_request_was_swallowed(redis: RedisServer, tmp_path: Path) -> None:
    env = {**os.environ, "REDIS_URL": redis.url, "PYTHONUNBUFFERED": "1"}
    worker = Daemon("worker", [sys.executable, "-c", ASKED_WHILE_IT_LOGS], tmp_path / "log", env=env, cwd=PROJECT)
    worker.start()
    try:
        wait_until(lambda: _waits_for_a_job(redis), "it waits for a job", 30)
        redis.kill()

        wait_until(lambda: "swallowed StopRequested" in worker.log_tail(100_000), "it is asked", 20)
        wait_until(lambda: not worker.alive, "it ends", 30)
    finally:
        worker.kill()


def _waits_for_a_job(server: RedisServer) -> bool:
    with server.client() as client:
        return any(one["cmd"].startswith("bl") for one in client.client_list())
