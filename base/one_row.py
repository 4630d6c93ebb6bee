"""Settings that are one row, kept by each process for a second."""

from __future__ import annotations

import math
import time
from typing import ClassVar, Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

FRESH_SECONDS = 1.0


class OneRow(models.Model):
    """One row, edited in the console, in effect within a second in every process."""

    _kept: ClassVar[dict[type[models.Model], tuple[float, models.Model]]] = {}
    _forgotten: ClassVar[int] = 0

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
        while not cls.is_fresh():
            forgotten, began = OneRow._forgotten, time.monotonic()
            row = cls.load()
            # Another thread may have called `forget` meanwhile: then this row is an old one.
            if forgotten == OneRow._forgotten:
                cls._kept[cls] = (began, row)
                return row
        return cls.last_read()

    @classmethod
    def is_fresh(cls) -> bool:
        """Whether `last_read` is what `current` would give."""
        kept = cls._kept.get(cls)
        return kept is not None and time.monotonic() - kept[0] < FRESH_SECONDS

    @classmethod
    def last_read(cls) -> Self:
        """What `current` gave last, or else the defaults: for an event loop, which must not ask."""
        kept = cls._kept.get(cls)
        return cls() if kept is None else kept[1]  # type: ignore[return-value]

    @classmethod
    def forget(cls) -> None:
        """Have the next `current()` of every such model in this process read its row."""
        OneRow._forgotten += 1
        for model, (_, row) in cls._kept.items():
            cls._kept[model] = (-math.inf, row)


def between(lowest: int, highest: int) -> list[MinValueValidator | MaxValueValidator]:
    return [MinValueValidator(lowest), MaxValueValidator(highest)]
