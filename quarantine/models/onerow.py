"""Settings that are one row, kept by each process for a second."""

from __future__ import annotations

import time
from typing import ClassVar, Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

FRESH_SECONDS = 1.0


class OneRow(models.Model):
    """One row, edited in the console, in effect within a second in every process."""

    _kept: ClassVar[dict[type[models.Model], tuple[float, models.Model]]] = {}

    class Meta:
        abstract = True

    @classmethod
    def load(cls) -> Self:
        """The row as it stands now; made with the defaults at first use."""
        row, _ = cls._default_manager.get_or_create(pk=1)
        return row  # type: ignore[return-value]

    @classmethod
    def current(cls) -> Self:
        """The row, read from the database at most once a second. Not for editing."""
        kept = cls._kept.get(cls)
        now = time.monotonic()
        if kept is None or now - kept[0] >= FRESH_SECONDS:
            kept = cls._kept[cls] = (now, cls.load())
        return kept[1]  # type: ignore[return-value]

    @classmethod
    def forget(cls) -> None:
        """Drop this process's copies, so that the next `current()` reads the row."""
        cls._kept.clear()


def between(lowest: int, highest: int) -> list[MinValueValidator | MaxValueValidator]:
    return [MinValueValidator(lowest), MaxValueValidator(highest)]
