"""Rows by how a text of theirs begins, found along its index on either database."""

from __future__ import annotations

from typing import Any, Final

from django.db import connection
from django.db.models import QuerySet

# What no address goes on with is greater than all that it goes on with.
_LAST: Final = chr(0x10FFFF)


def beginning_with(rows: QuerySet[Any], column: str, start: str) -> QuerySet[Any]:
    """Rows whose column, which is unique, begins with a text, in its order."""
    if connection.vendor == "postgresql":
        return rows.filter(**{f"{column}__startswith": start}).order_by(column)
    return rows.filter(**{f"{column}__gte": start, f"{column}__lt": start + _LAST}).order_by(column)
