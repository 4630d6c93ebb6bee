"""Dumps an installation with mail in every state, as this checkout's code leaves it: `… make_dump NAME [FOLDER]`.

To be run once for each release, in a checkout of it (CONTRIBUTING.md). It needs Debian's PostgreSQL.
"""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

from tests.support.postgres import PostgresServer

PROJECT = Path(__file__).resolve().parents[2]
DUMPS = Path(__file__).parent / "dumps"
# Of the home: the key that secrets are sealed with, and every folder that has messages.
_KEPT = ("secret_key", "keys", "spool", "quarantine", "moved", "drop")


def main(name: str, folder: Path) -> None:
    """Write the dump called `name` to a folder below `folder`."""
    to = folder / name
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mailspool-dump-") as scratch:
        for database in ("sqlite", "postgresql"):
            home = Path(scratch) / database
            home.mkdir()
            server = PostgresServer(durable=False) if database == "postgresql" else None
            try:
                if server is not None:
                    server.start()
                url = server.create_database("mailspool") if server is not None else ""
                _fill(home, url)
                text = _of_postgresql(server.folder) if server is not None else _of_sqlite(home / "mailspool.sqlite3")
            finally:
                if server is not None:
                    server.remove()
            _write(to / f"{database}.sql.gz", text)
            shutil.copy(home / "mail.json", to / f"{database}.json")
            with tarfile.open(to / f"{database}-home.tar.gz", "w:gz") as archive:
                for kept in _KEPT:
                    if (home / kept).exists():
                        archive.add(home / kept, kept)


def _fill(home: Path, database_url: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "DATABASE_URL")}
    environment |= {"MAILSPOOL_HOME": str(home), "MAILSPOOL_HOSTNAME": "mail.test", "TZ": "UTC"}
    if database_url:
        environment["DATABASE_URL"] = database_url
    for command in (["manage.py", "migrate", "-v", "0"], ["-m", "tests.upgrades.every_state", str(home / "mail.json")]):
        subprocess.run([sys.executable, *command], cwd=PROJECT, env=environment, check=True)


def _of_sqlite(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def _of_postgresql(socket: Path) -> str:
    command = [
        "pg_dump",
        "-h",
        str(socket),
        "-U",
        "postgres",
        "--inserts",
        "--no-owner",
        "--no-privileges",
        "mailspool",
    ]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # What is for psql alone; and the path, with which nothing could be found any more on the same connection.
    lines = [line for line in text.splitlines() if not line.startswith("\\") and "'search_path'" not in line]
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    # The time in the archive would make each one another.
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else DUMPS)
