"""An installation as a release left it, from its dump."""

from __future__ import annotations

import gzip
import json
import sqlite3
import tarfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.upgrades import schemas

DUMPS = Path(__file__).parent / "dumps"
Rows = Counter[tuple[str, ...]]
# Debian 12's Python is older than the filter (3.11.4); the dumps are our own.
_AS_DATA: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


class Dumped:
    """The dump called `name` of one of the databases, brought to life in `folder`. Nothing runs yet."""

    def __init__(self, name: str, folder: Path, server: PostgresServer | None, dns: str = "") -> None:
        self._server = server
        self._name = f"upgrade_{name}"
        self.database = "postgresql" if server else "sqlite"
        dump = DUMPS / name
        self.mail: dict[str, dict[str, Any]] = json.loads((dump / f"{self.database}.json").read_text())
        url = server.create_database(self._name) if server else ""
        self.mailspool = MailspoolUnderTest(folder, database_url=url, dns=dns)
        self._url = url.replace("postgres://", "postgresql://", 1)
        self._file = self.mailspool.home / "mailspool.sqlite3"
        for made in ("spool", "drop", "maildirs", "keys", "redis"):
            (self.mailspool.home / made).mkdir(mode=0o700, parents=True, exist_ok=True)
        with tarfile.open(dump / f"{self.database}-home.tar.gz") as archive:
            archive.extractall(self.mailspool.home, **_AS_DATA)
        self._load(gzip.decompress((dump / f"{self.database}.sql.gz").read_bytes()).decode())

    def remove(self) -> None:
        self.mailspool.kill()
        if self._server:
            self._server.drop_database(self._name)

    def schema(self) -> schemas.Schema:
        return schemas.of_postgresql(self._url) if self._server else schemas.of_sqlite(self._file)

    def rows(self, columns: dict[str, list[str]]) -> dict[str, Rows]:
        """What stands in those columns, by table, in words."""
        found = {}
        for table, names in columns.items():
            quoted = ", ".join(f'"{name}"' for name in names)
            found[table] = Counter(
                tuple(map(repr, row)) for row in self.mailspool.rows(f"SELECT {quoted} FROM {table}")
            )
        return found

    def columns(self) -> dict[str, list[str]]:
        """The names of all columns, by table."""
        if self._server:
            query = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        else:
            query = (
                "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c"
                " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
            )
        found: dict[str, list[str]] = {}
        for table, column in sorted(self.mailspool.rows(query)):
            found.setdefault(table, []).append(column)
        return found

    def _load(self, statements: str) -> None:
        if self._server:
            with psycopg.connect(self._url, autocommit=True) as connection:
                connection.execute(statements)  # type: ignore[arg-type]
            return
        with closing(sqlite3.connect(self._file)) as connection:
            connection.executescript(statements)
