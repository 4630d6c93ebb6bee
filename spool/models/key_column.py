"""The column beside an address that has its key, where the address is written otherwise (accounts.addresses)."""

from __future__ import annotations

from typing import Any

from django.db import models


def key_column(help_text: str) -> models.CharField[Any, Any]:
    """Null for nearly all: then the address is its own key, and only the index of addresses has to know it.

    Null too in rows of a version that knew no keys, and in those that were packed by one.
    """
    return models.CharField(max_length=320, null=True, editable=False, help_text=help_text)


def keyed(name: str, column: str, *further: str) -> models.Index:
    """The index of such a column: of the few rows that have something in it."""
    return models.Index(fields=[column, *further], name=name, condition=models.Q((f"{column}__isnull", False)))
