"""Settings that are one row, kept by each process for a second."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from base.short_cache import ShortCache
from base.texts import Text

FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Section:
    """Settings that stand together: on pages, in searches and in commands. Fields in a tuple share a line."""

    title: Text
    fields: tuple[str | tuple[str, ...], ...]
    about: Text = ""

    @property
    def names(self) -> Iterator[str]:
        """Its fields one by one."""
        for entry in self.fields:
            yield from (entry,) if isinstance(entry, str) else entry


class OneRow(models.Model):
    """One row, edited in the console, in effect within a second in every process.

    What a setting is called, its unit (in brackets behind the name), help and default are said by its field.
    """

    # Of all that people set.
    sections: ClassVar[tuple[Section, ...]] = ()
    _kept: ClassVar[dict[type[models.Model], ShortCache[Any]]] = {}

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
        kept = OneRow._kept.get(cls)
        return kept.current() if kept is not None else cls._cache().current()

    @classmethod
    def is_fresh(cls) -> bool:
        """Whether `last_read` is what `current` would give."""
        kept = OneRow._kept.get(cls)
        return kept is not None and kept.is_fresh()

    @classmethod
    def last_read(cls) -> Self:
        """What `current` gave last, or else the defaults: for an event loop, which must not ask."""
        kept = OneRow._kept.get(cls)
        return cls() if kept is None or kept.last is None else kept.last

    @classmethod
    def forget(cls) -> None:
        """Have the next `current()` of every such model in this process read its row."""
        for kept in list(OneRow._kept.values()):
            kept.expire()

    @classmethod
    def _cache(cls) -> ShortCache[Self]:
        return OneRow._kept.setdefault(cls, ShortCache(FRESH_SECONDS, cls.load))


def between(lowest: int, highest: int) -> list[MinValueValidator | MaxValueValidator]:
    return [MinValueValidator(lowest), MaxValueValidator(highest)]
