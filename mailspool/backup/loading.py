"""Loads the database of a backup in place of an empty one, all of it or nothing, and brings it up to date."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from django.core.management import call_command
from django.db import connection

from base import schema
from mailspool.backup.errors import BackupError
from mailspool.backup.snapshot import run


def load(file: Path) -> None:
    """What the database had is gone. Raises BackupError; what a kill leaves, the next call replaces."""
    if connection.vendor == "sqlite":
        _into_sqlite(file)
    else:
        _into_postgresql(file)
    with schema.alone():
        call_command("migrate", verbosity=0, interactive=False)
    if fault := schema.examine().fault:
        raise BackupError(fault)


def _into_sqlite(file: Path) -> None:
    connection.close()
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as source,
            contextlib.closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=10)) as target,
        ):
            # In one transaction of the target's.
            source.backup(target)
    except sqlite3.Error as error:
        raise BackupError(f"The database can't be loaded: {error}.") from error


def _into_postgresql(file: Path) -> None:
    quote = connection.ops.quote_name
    # Of a newer Mailspool than the backup's there are more tables than the backup has.
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    there = set(connection.introspection.table_names())
    names = ", ".join(quote(name) for name in sorted({*tables, "django_migrations"} & there))
    if names:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {names} CASCADE")
    run(
        "pg_restore",
        ["--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"],
        source=file,
    )
    connection.close()
