"""A worker ends when it is asked to, whatever the request meets in it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

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


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    # The paths of pytest may be too long for a socket.
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(tmp_path / "redis", Path(folder) / "redis.sock")
        server.start()
        yield server
        server.kill()


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
