"""Real processes on the database and the home of the test run: commands, and a worker to be killed and restarted."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

from django.conf import settings
from django.db import connection

from tests.support.daemon import Daemon
from tests.support.forks import Forks
from tests.support.mailspool_process import PROJECT


def maintenance_worker(log: Path) -> Daemon:
    """`manage.py rqworker maintenance`, not started yet. Call it in a test that has the database."""
    forks = on_test_database()
    worker = ("rqworker", "maintenance", "--worker-class", "spool.worker.PassWorker", "--skip-checks")
    command = [sys.executable, "manage.py", *worker]
    return Daemon("maintenance", command, log, env=forks.env, cwd=PROJECT, forks=forks)


def on_test_database() -> Forks:
    """Where to start `manage.py` commands that work on the test database. Call it in a test that has the database."""
    return _forks(database_url())


@functools.cache
def _forks(database_url: str) -> Forks:
    home = settings.HOME.root
    return Forks({**os.environ, "MAILSPOOL_HOME": str(home), "DATABASE_URL": database_url}, home / "forks.log")


def database_url() -> str:
    """The DATABASE_URL of the test database."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    server, _, options = os.environ["DATABASE_URL"].partition("?")
    return f"{server.rpartition('/')[0]}/{name}" + (f"?{options}" if options else "")
