"""Writes many rows of a model at once, past its `save`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from django.core.management.color import no_style
from django.db import connection, models
from django.db.models import Model
from django.utils import timezone

from spool.rows import statements

BATCH = 20_000


def write(model: type[Model], rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert `rows`, each a value by the name of its field's attribute (`user_id`); the rest has its default.

    All rows name the same fields. Where they name the key, the next row by other means gets one behind them.
    """
    fields: list[models.Field[Any, Any]] = []
    rest = iter(rows)
    while some := list(islice(rest, BATCH)):
        fields = fields or _fields_of(model, some[0])
        with statements.write_transaction():
            statements.insert(
                model._meta.db_table,
                [connection.ops.quote_name(field.column) for field in fields],
                [tuple(_value(field, row) for field in fields) for row in some],
            )
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [model]):
            cursor.execute(statement)


def _fields_of(model: type[Model], row: Mapping[str, Any]) -> list[models.Field[Any, Any]]:
    found = [field for field in model._meta.concrete_fields if not isinstance(field, models.CompositePrimaryKey)]
    if unknown := row.keys() - {field.attname for field in found}:
        raise ValueError(f"{model.__name__} has no {', '.join(sorted(unknown))}")
    return [field for field in found if field.attname in row or not isinstance(field, models.AutoField)]


def _value(field: models.Field[Any, Any], row: Mapping[str, Any]) -> Any:
    if field.attname in row:
        value = row[field.attname]
    elif getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        value = timezone.now()
    else:
        value = field.get_default()
    return field.get_db_prep_save(value, connection)
