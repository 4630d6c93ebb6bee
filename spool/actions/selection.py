"""What an action is for: all that a filter matches, or entries chosen one by one.

An action whose subject is something else than entries has a Selection of its own (see `Verb.selects`).
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _

from base.audit.subjects import Subject
from spool.filters import Count, SpoolFilter, count, page
from spool.filters.base import MessageFilter
from spool.filters.pages import matching_ids
from spool.models.entry import Entry

MOST_CHOSEN = 10_000
# So many are named in a sentence.
NAMED = 20
# A tenth of a large number is counted in this time when the whole of it takes no longer than a page may.
QUICK_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Selection:
    """Either `filter` or `ids`. Entries chosen from a list of one mailbox's are meant as far as they are for it."""

    filter: Any = None
    ids: tuple[int, ...] = ()
    of_mailbox: str = ""

    # What its filters are; a filter of another place means nothing here.
    filters: ClassVar[type[MessageFilter]] = SpoolFilter

    @classmethod
    def of(cls, what: MessageFilter | Iterable[int] | Selection) -> Self:
        if isinstance(what, cls):
            return what
        assert not isinstance(what, Selection)
        if isinstance(what, MessageFilter):
            assert isinstance(what, cls.filters)
            return cls(filter=what)
        return cls(ids=tuple(sorted({int(number) for number in what}))[:MOST_CHOSEN])

    @classmethod
    def from_json(cls, chosen: dict[str, Any], ids: list[int]) -> Self:
        return cls(ids=tuple(ids)) if ids else cls(filter=cls.filters.from_json(chosen))

    @property
    def mailbox(self) -> str:
        """The one recipient that is meant; "" for all that a message has."""
        return self.of_mailbox or getattr(self.filter, "mailbox", "")

    def last_id(self) -> int:
        """The newest there is now: what comes later is not meant."""
        return Entry.objects.order_by("-id").values_list("id", flat=True).first() or 0

    def busy(self, sample: list[Any], now: datetime) -> int:
        """How many of the sample are on the wire."""
        return sum(1 for entry in sample if entry.leased_by and entry.due_at is not None and entry.due_at > now)

    def count(self, limit: int = 10_000) -> Count:
        """How many there are, counted up to `limit`."""
        if self.filter is None:
            return Count(self._chosen().count())
        return count(self.filter, limit)

    def count_quickly(self, limit: int) -> Count:
        """How many there are, counted up to `limit` where that is quick, and up to a tenth of it where it is not."""
        started = time.monotonic()
        number = self.count(limit // 10)
        return self.count(limit) if number.more and time.monotonic() - started < QUICK_SECONDS else number

    def count_all(self) -> int:
        """How many there are, however long that takes."""
        if self.filter is None:
            return len(self.ids)
        return self.filter.apply(Entry.objects.all()).count()

    def sample(self, size: int) -> list[Any]:
        """The newest few."""
        if self.filter is None:
            return list(self._chosen().defer("traceback").order_by("-id")[:size])
        return page(self.filter, size=size).entries

    def line(self, row: Any) -> str:
        """One of the sample, for a terminal."""
        return f"{row.file_name} {row.sender or '<>'} {row.subject}"

    def chunks(self, cursor: int, last_id: int, size: int) -> Iterator[list[int]]:
        """Ids behind `cursor`, up to `last_id`, in order and `size` at a time."""
        if self.filter is None:
            windows: Iterable[list[int]] = [[number for number in self.ids if number > cursor]]
        else:
            windows = matching_ids(self.filter, cursor, last_id)
        for ids in windows:
            for start in range(0, len(ids), size):
                yield ids[start : start + size]

    def subject(self) -> Subject | None:
        """The one message that is meant, as the audit has it; None for a search, and for several."""
        if self.filter is not None or len(self.ids) != 1:
            return None
        name = self._chosen().values_list("file_name", flat=True).first()
        return Subject("message", name) if name else None

    def _chosen(self) -> QuerySet[Any]:
        """What was chosen one by one and is there."""
        return Entry.objects.filter(id__in=self.ids)

    def sentence(self) -> str:
        """In words, for people and the audit."""
        if self.filter is not None:
            return str(self.filter.sentence())
        first = self._chosen().filter(id__in=self.ids[:NAMED]).order_by("id")
        names = list(first.values_list("file_name", flat=True))
        more = (
            (_(" and %(number)s more") % {"number": len(self.ids) - len(names)}) if len(self.ids) > len(names) else ""
        )
        return f"{', '.join(names)}{more}"


class RowSelection(Selection, ABC):
    """The same of another table, whose rows no worker has: each question is a query of what is meant."""

    __slots__ = ()
    model: ClassVar[type[Model]]
    # Columns that no list shows.
    large: ClassVar[Sequence[str]] = ()

    @abstractmethod
    def rows(self) -> QuerySet[Any]:
        """All that is meant."""

    def _chosen(self) -> QuerySet[Any]:
        return self.rows()

    def last_id(self) -> int:
        return self.model._default_manager.order_by("-pk").values_list("pk", flat=True).first() or 0

    def busy(self, sample: list[Any], now: datetime) -> int:
        return 0

    def count(self, limit: int = 10_000) -> Count:
        number = self.rows().order_by()[: limit + 1].count()
        return Count(min(number, limit), number > limit)

    def count_all(self) -> int:
        return self.rows().order_by().count()

    def sample(self, size: int) -> list[Any]:
        return list(self.rows().defer(*self.large).order_by("-id")[:size])

    def chunks(self, cursor: int, last_id: int, size: int) -> Iterator[list[int]]:
        wanted = self.rows().order_by("id").values_list("id", flat=True)
        while ids := list(wanted.filter(id__gt=cursor, id__lte=last_id)[:size]):
            yield ids
            cursor = ids[-1]
