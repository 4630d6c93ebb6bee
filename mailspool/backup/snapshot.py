"""The database at one moment: as a file for the backup, and to be asked which files its rows name.

Both are the very same state. On SQLite the file is made first (its online backup, in one step) and is what is asked; on
PostgreSQL a transaction exports its snapshot (pg_export_snapshot), and pg_dump works on that.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.db import connection, connections, transaction
from psycopg.conninfo import make_conninfo

from mailspool.backup.errors import BackupError

# By which Django's models are asked about the snapshot: `Entry.objects.using(ALIAS)`.
ALIAS: Final = "snapshot"
FILES: Final = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}
_TICK_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`file` is whole after `finish`, which calls what it is given a few times a second meanwhile."""

    engine: str
    file: Path
    finish: Callable[[Callable[[], None]], None]


@contextlib.contextmanager
def taken(folder: Path) -> Iterator[Snapshot]:
    """Takes a snapshot, whose file will be in `folder`; ALIAS can be asked until the end. Raises BackupError."""
    engine = connection.vendor
    if engine not in FILES:
        raise BackupError(f"A database of {engine} can't be backed up: only SQLite and PostgreSQL can.")
    file = folder / FILES[engine]
    with _of_sqlite(file) if engine == "sqlite" else _of_postgresql(file) as finish:
        yield Snapshot(engine, file, finish)


@contextlib.contextmanager
def _of_sqlite(file: Path) -> Iterator[Callable[[Callable[[], None]], None]]:
    connection.ensure_connection()
    file.touch(mode=0o600)
    with contextlib.closing(sqlite3.connect(file)) as copy:
        # It is synced with all the rest, before the backup counts as one.
        copy.execute("PRAGMA synchronous = OFF")
        connection.connection.backup(copy)
        # As a file alone, without a journal beside it.
        copy.execute("PRAGMA journal_mode = DELETE")
    with _asked(NAME=str(file), OPTIONS={}), transaction.atomic(using=ALIAS):
        yield lambda tick: None


@contextlib.contextmanager
def _of_postgresql(file: Path) -> Iterator[Callable[[Callable[[], None]], None]]:
    _check_version()
    with _asked(), transaction.atomic(using=ALIAS), connections[ALIAS].cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        limits = ["statement_timeout", "idle_in_transaction_session_timeout"]
        if _server_version() >= 17:
            limits.append("transaction_timeout")
        for name in limits:
            cursor.execute(f"SET LOCAL {name} = 0")
        cursor.execute("SELECT pg_export_snapshot()")
        [exported] = cursor.fetchone()
        yield lambda tick: _dump(exported, file, tick)


@contextlib.contextmanager
def _asked(**changes: Any) -> Iterator[None]:
    """ALIAS as a connection beside the usual one, which is elsewhere as far as `changes` say."""
    connections.databases[ALIAS] = {**connection.settings_dict, **changes}
    try:
        yield
    finally:
        connections[ALIAS].close()
        del connections[ALIAS]
        del connections.databases[ALIAS]


def _dump(exported: str, file: Path, tick: Callable[[], None]) -> None:
    """Run pg_dump on an exported snapshot, whose transaction must still be open. Raises BackupError."""
    file.touch(mode=0o600)
    run(
        "pg_dump",
        ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={exported}", f"--file={file}"],
        tick,
    )


def run(
    program: str, options: list[str], tick: Callable[[], None] = lambda: None, *, source: Path | None = None
) -> None:
    """Run one of PostgreSQL's client programs on our database, which reads `source`. Raises BackupError.

    `tick` is called a few times a second meanwhile.
    """
    connection.ensure_connection()
    reached = connection.connection.info
    # What was asked for, not what our own client library, which may be a newer one, has made of it. The password is
    # not among it: whoever lists processes would see that.
    asked = connection.get_connection_params()
    words = {name: value for name, value in reached.get_parameters().items() if name in asked}
    command = [program, *options, f"--dbname={make_conninfo(**words)}", *([str(source)] if source else [])]
    environment = {**os.environ, "PGAPPNAME": f"mailspool {program}"}
    if reached.password:
        environment["PGPASSWORD"] = reached.password
    if shutil.which(program) is None:
        raise BackupError(_NOT_INSTALLED.format(program))
    if shutil.which("setpriv") is not None:
        # It must not go on without us, whoever kills us.
        command = ["setpriv", "--pdeathsig", "KILL", *command]
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    with process:
        try:
            while True:
                try:
                    _, said = process.communicate(timeout=_TICK_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    tick()
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise BackupError(f"{program} failed: {said.decode(errors='replace').strip() or process.returncode}")


_NOT_INSTALLED = "{} is not installed, and a database of PostgreSQL needs it: apt-get install postgresql-client."


def _check_version() -> None:
    """Raises BackupError when pg_dump is missing, or older than the server: it would refuse to work."""
    try:
        said = subprocess.run(["pg_dump", "--version"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError as error:
        raise BackupError(_NOT_INSTALLED.format("pg_dump")) from error
    server = _server_version()
    found = re.search(r"(\d+)", said)
    if found is not None and int(found[1]) < server:
        raise BackupError(
            f"pg_dump is of version {found[1]}, and the server of {server}: install postgresql-client-{server}."
        )


def _server_version() -> int:
    """The server's, as in 15."""
    connection.ensure_connection()
    return int(connection.connection.info.server_version) // 10_000
