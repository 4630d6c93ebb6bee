"""Whether the database's tables are those that this code was written for.

During an upgrade old programs run on a newer schema for a while, which each migration allows for
(docs/upgrading.md); code that is newer than the tables has to wait for them.
"""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module

from django.apps import apps
from django.apps.registry import Apps
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from base.file_locks import wait_for_lock
from base.phrases import first_few

# Apps that earlier versions had: their tables may still be there, and nothing needs them.
FORMER_APPS = frozenset({"axes"})
# Who waits for another schema looks so often, and says so.
LOOK_SECONDS = 2.0
SAY_SECONDS = 60.0
RESTORE_UNFINISHED = (
    "A restore was begun here and not finished: run `manage.py restore` with the same backup again. Until then what is"
    " in the home and in the database is a part of it."
)
# Of PostgreSQL's advisory locks: who changes the schema holds it.
_LOCK = 0x6D61696C
_FEW = 3
# Table, column, and whether every row that is inserted has to say a value for it.
_COLUMNS = {
    "sqlite": """
        SELECT tables.name, columns.name, columns."notnull" AND columns.dflt_value IS NULL AND NOT columns.pk
        FROM sqlite_master AS tables JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'
    """,
    "postgresql": """
        SELECT relname, attname, attnotnull AND NOT atthasdef AND attidentity = ''
        FROM pg_catalog.pg_class JOIN pg_catalog.pg_attribute ON attrelid = pg_class.oid
        WHERE relkind IN ('r', 'p') AND pg_table_is_visible(pg_class.oid) AND attnum > 0 AND NOT attisdropped
    """,
}


@dataclass(frozen=True, slots=True)
class Schema:
    """How the tables differ from what the code needs. All empty: not at all."""

    missing: tuple[str, ...] = ()
    """Migrations of the code that were not applied, as `app.name`."""

    unknown: tuple[str, ...] = ()
    """Migrations of ours that were applied, and that this code does not know: those of a newer version."""

    lacking: tuple[str, ...] = ()
    """Tables, and columns as `table.column`, that the code uses and that are not there."""

    demanding: tuple[str, ...] = ()
    """Columns that want a value in each new row, and that this code does not know."""

    @property
    def fault(self) -> str:
        """Why this code can't work on these tables, and what to do, in a sentence; empty when it can."""
        if self.missing:
            return (
                f"The database's schema is older than this Mailspool. Not applied: {_listed(self.missing)}. Run"
                " `python -m mailspool.prepare`, or `manage.py migrate`, with the new code (docs/upgrading.md)."
            )
        wrong = [*self.lacking, *self.demanding]
        if not wrong:
            return ""
        if self.unknown:
            return (
                f"The database's schema is of a newer Mailspool ({_listed(self.unknown)}), and this one can't work on"
                f" it: {_listed(wrong)}. Start the newer one, or restore the backup from before the upgrade."
            )
        return (
            f"The database's tables are not what its migrations make today: {_listed(wrong)}. A development version of"
            " before commit 179971f (25 November 2026) made them, and no later one can work on them. Keep that version"
            " for the mail that is still in it, and begin a new installation beside it (docs/upgrading.md)."
        )

    @property
    def remark(self) -> str:
        """What is no fault and still worth a line."""
        if not self.unknown:
            return ""
        return (
            f"The database's schema is newer than this Mailspool ({_listed(self.unknown)}): that is as it should be"
            " while an upgrade is under way, and for no longer."
        )


def examine() -> Schema:
    """Look at the database. A few quick queries; raises django.db.Error when it does not answer."""
    applied = {(app, name) for app, name in MigrationRecorder(connection).applied_migrations()}
    known = {(config.label, name) for config in apps.get_app_configs() for name in _names_of(config.label)}
    ours = {app for app, _ in known}
    lacking, demanding = differences(apps)
    return Schema(
        missing=_dotted(known - applied),
        unknown=_dotted({(app, name) for app, name in applied - known if app in ours}),
        lacking=lacking,
        demanding=demanding,
    )


def differences(models: Apps) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the tables lack for these models, and what they demand beyond (`Schema.lacking` and `demanding`)."""
    there, demanding = _columns()
    used = _used(models)
    lacking = [table for table in used if table not in there]
    lacking += [
        f"{table}.{column}" for table, columns in used.items() if table in there for column in columns - there[table]
    ]
    beyond = [f"{table}.{column}" for table, column in demanding if table in used and column not in used[table]]
    return tuple(sorted(lacking)), tuple(sorted(beyond))


@contextmanager
def alone() -> Iterator[None]:
    """One at a time changes the schema and makes what an installation begins with; others wait here, and then find
    nothing to do. Raises OSError."""
    if connection.vendor != "postgresql":
        descriptor = os.open(settings.HOME.schema_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            wait_for_lock(descriptor)
            yield
        finally:
            os.close(descriptor)
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _names_of(app_label: str) -> list[str]:
    """The migrations of an app, by their files: none is loaded."""
    module_name, _ = MigrationLoader.migrations_module(app_label)
    try:
        module = import_module(str(module_name))
    except ModuleNotFoundError:
        return []
    return [
        name for _, name, is_package in pkgutil.iter_modules(module.__path__) if not is_package and name[0] not in "_~"
    ]


def _used(models: Apps) -> dict[str, set[str]]:
    """The columns that models use, by table."""
    used: dict[str, set[str]] = {}
    for model in models.get_models(include_auto_created=True):
        if model._meta.managed and not model._meta.proxy:
            columns = {str(field.column) for field in model._meta.local_concrete_fields}
            used.setdefault(model._meta.db_table, set()).update(columns)
    return used


def _columns() -> tuple[dict[str, set[str]], set[tuple[str, str]]]:
    """The columns that are there, by table, and those that want a value in each new row."""
    there: dict[str, set[str]] = {}
    demanding = set()
    with connection.cursor() as cursor:
        cursor.execute(_COLUMNS[connection.vendor])
        for table, column, wants_value in cursor.fetchall():
            there.setdefault(table, set()).add(column)
            if wants_value:
                demanding.add((table, column))
    return there, demanding


def _dotted(migrations: set[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(sorted(f"{app}.{name}" for app, name in migrations))


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return first_few(names, _FEW)
