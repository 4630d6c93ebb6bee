"""What must hold before anything is restored: it is empty, nothing runs, and the backup is one that we understand."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from accounts.models import Domain
from base import schema
from base.file_locks import try_lock
from mailspool.backup.errors import BackupError
from mailspool.backup.manifest import Header
from mailspool.home import Home
from quarantine.models.item import Item
from spool.models.entry import Entry
from spool.models.trace import Trace
from spool.models.trashed import Trashed
from spool.monitoring import programs

_ENGINES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_FEW: Final = 3
_PATIENCE_SECONDS: Final = 20.0


def check_header(header: Header) -> None:
    """Raises BackupError for a backup of another engine, or of a newer Mailspool."""
    if header.engine != connection.vendor:
        theirs, ours = (_ENGINES.get(name, name) for name in (header.engine, connection.vendor))
        raise BackupError(
            f"This backup is of a database on {theirs}, and DATABASE_URL names one on {ours}: restore it on {theirs}."
        )
    known = MigrationLoader(None, ignore_no_migrations=True).disk_migrations or {}
    unknown = [
        f"{app}.{name}"
        for app, names in header.migrations.items()
        for name in names
        if (app, name) not in known and app not in schema.FORMER_APPS
    ]
    if unknown:
        raise BackupError(
            f"This backup is of a newer Mailspool ({header.version}), or of one with a plug-in that is not here: its"
            f" database has {', '.join(unknown[:_FEW])}{' and more' if len(unknown) > _FEW else ''}. Use that one."
        )


def check_empty(home: Home) -> None:
    """Raises BackupError when there is mail, or a domain: an installation that was just made has neither."""
    tables = set(connection.introspection.table_names())
    for what, model in (
        ("mail in the spool", Entry),
        ("mail in the trash", Trashed),
        ("mail in quarantine", Item),
        ("traces of mail", Trace),
        ("domains", Domain),
    ):
        if model._meta.db_table in tables and model._default_manager.exists():
            raise BackupError(_NOT_EMPTY.format(f"its database has {what}"))
    for file in _mail_in(home):
        raise BackupError(_NOT_EMPTY.format(f"there is {file}"))


_NOT_EMPTY: Final = (
    "This installation is not empty: {}. A backup is restored into one that is new: with an empty home (MAILSPOOL_HOME)"
    " and an empty database (DATABASE_URL)."
)


def _mail_in(home: Home) -> Iterator[Path]:
    """Files of messages in the home."""
    folders = [*home.spool.glob("subspool*"), home.root / "quarantine", home.maildirs]
    for folder in folders:
        for place, inner, names in os.walk(folder):
            inner[:] = [name for name in inner if not name.startswith(".")]
            yield from (Path(place) / name for name in names if not name.startswith("."))
    yield from home.drop.glob("*.eml")


def check_stopped(home: Home) -> None:
    """Raises BackupError when programs of this installation run: they would work on what is half restored."""
    # PostgreSQL does not notice at once that a restore was killed.
    deadline = time.monotonic() + (_PATIENCE_SECONDS if home.restore_mark.exists() else 1.0)
    while running := [*_supervised(home), *_at_the_database(), *_alive()]:
        if time.monotonic() < deadline:
            time.sleep(0.1)
            continue
        raise BackupError(
            f"Programs of this installation are running ({', '.join(running[:_FEW])}): stop them first, as with"
            " systemctl stop mailspool.target."
        )


def _supervised(home: Home) -> Iterator[str]:
    for lock in (home.supervisor_lock, home.programs_lock):
        with contextlib.suppress(FileNotFoundError), lock.open("rb") as file:
            if not try_lock(file.fileno()):
                yield "make run"
                return


def _at_the_database() -> Iterator[str]:
    """Other processes that have the database open."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pid, application_name FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            yield from (f"PostgreSQL's session {pid} {name}".strip() for pid, name in cursor.fetchall())
        return
    database = os.path.realpath(connection.settings_dict["NAME"])
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        try:
            if any(os.readlink(file) == database for file in (process / "fd").iterdir()):
                yield f"process {process.name}"
        except OSError:
            # It has ended, or is another user's.
            continue


def _alive() -> Iterator[str]:
    """Programs that told of themselves in the last half minute; nothing where the tables are not there yet."""
    with contextlib.suppress(DatabaseError):
        for one in programs.alive():
            # Those of this host are known.
            if one.host != socket.gethostname() or Path(f"/proc/{one.pid}").exists():
                yield f"{one.kind} on {one.machine} (process {one.pid})"
