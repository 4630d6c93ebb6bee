"""A real worker process on the database and the home of the test run, to be started, killed and started again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from django.conf import settings
from django.db import connection

from tests.support.daemon import Daemon
from tests.support.mailspool_process import PROJECT


def maintenance_worker(log: Path) -> Daemon:
    """`manage.py rqworker maintenance`, not started yet. Call it in a test that has the database."""
    env = {**os.environ, "MAILSPOOL_HOME": str(settings.HOME.root), "DATABASE_URL": database_url()}
    command = [sys.executable, "manage.py", "rqworker", "maintenance", "--worker-class", "spool.worker.PassWorker"]
    return Daemon("maintenance", command, log, env=env, cwd=PROJECT)


def database_url() -> str:
    """The DATABASE_URL of the test database."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    server, _, options = os.environ["DATABASE_URL"].partition("?")
    return f"{server.rpartition('/')[0]}/{name}" + (f"?{options}" if options else "")
