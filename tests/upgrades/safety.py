"""Whether the version before can go on working while a migration is applied, as far as that can be told from it.

Programs of the version before read and write by the columns that they know: none of those may go, change its name or
refuse what they write, and a new column must take a row in which it is not named. What can't be told or is meant
otherwise is said by the migration itself, in a class attribute: `safe_because = "no release has used it since 0.4"`.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.state import ProjectState

_TAKES_AWAY = (
    operations.RemoveField,
    operations.RenameField,
    operations.DeleteModel,
    operations.RenameModel,
    operations.AlterModelTable,
    operations.AlterUniqueTogether,
    operations.AddConstraint,
)
_CANNOT_BE_TOLD = (operations.RunPython, operations.RunSQL, operations.SeparateDatabaseAndState)


def complaints(migration: Migration, before: ProjectState) -> Iterator[str]:
    """A sentence for each operation that is not safe, on tables as they are in `before`."""
    if getattr(migration, "safe_because", ""):
        return
    state = before.clone()
    made_here: set[str] = set()
    for operation in migration.operations:
        if isinstance(operation, operations.CreateModel):
            made_here.add(operation.name_lower)
        elif getattr(operation, "model_name_lower", "") not in made_here and (
            why := _why_not(operation, migration.app_label, state)
        ):
            yield f"{migration}: {operation.describe()}: {why}"
        operation.state_forwards(migration.app_label, state)


def _why_not(operation: object, app: str, state: ProjectState) -> str:
    if isinstance(operation, operations.AddField):
        return _added(operation.field)
    if isinstance(operation, operations.AlterField):
        old = state.models[app, operation.model_name_lower].fields[operation.name]
        return _altered(old, operation.field)
    if isinstance(operation, _TAKES_AWAY):
        return "the version before may still use it, or write what this refuses"
    if isinstance(operation, _CANNOT_BE_TOLD):
        return "say why it is safe"
    return ""


def _added(field: models.Field) -> str:
    if field.null or field.has_db_default() or field.many_to_many:
        return ""
    return "the version before inserts rows without it: give it null=True or a db_default"


def _altered(old: models.Field, new: models.Field) -> str:
    if old.null and not new.null:
        return "the version before may still write NULL"
    if old.has_db_default() and not new.has_db_default() and not new.null:
        return "the version before may insert rows without it"
    if old.get_internal_type() != new.get_internal_type() or old.db_column != new.db_column:
        return "the version before reads and writes it as it was"
    if new.max_length is not None and (old.max_length is None or new.max_length < old.max_length):
        return "the version before may write longer ones"
    if new.unique and not old.unique:
        return "the version before may write the same twice"
    return ""
