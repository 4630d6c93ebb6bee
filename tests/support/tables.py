"""The tables of an installation: made by migrations once in a run, and copied for every further installation."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import sql

_TEMPLATE = "mailspool_tables"
_sqlite: tempfile.TemporaryDirectory[str] | None = None


def make_in_file(database: Path, migrate: Callable[[], object]) -> None:
    """Give a new SQLite database its tables."""
    global _sqlite
    if _sqlite is None:
        migrate()
        folder = tempfile.TemporaryDirectory(prefix="mailspool-tables-")
        copy(database, Path(folder.name) / database.name)
        _sqlite = folder
    else:
        shutil.copyfile(Path(_sqlite.name) / database.name, database)


def make_in_server(database_url: str, migrate: Callable[[], object]) -> None:
    """Give an empty database on PostgreSQL its tables. One in a tablespace of its own is neither."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        name = connection.info.dbname
        elsewhere = connection.execute(
            "SELECT 1 FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace"
            " WHERE d.datname = %s AND t.spcname <> 'pg_default'",
            [name],
        ).fetchone()
    if elsewhere:
        migrate()
        return
    with psycopg.connect(database_url, dbname="postgres", autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_TEMPLATE]).fetchone():
            connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
            _copy_in_server(connection, _TEMPLATE, name)
        else:
            migrate()
            _copy_in_server(connection, name, _TEMPLATE)


def _copy_in_server(connection: psycopg.Connection, name: str, to: str) -> None:
    connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(to), sql.Identifier(name)))


def copy(database: Path, to: Path) -> None:
    """A copy of a SQLite database that is not being written to, in the one file, what is in its log included."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copyfile(database, to)
