"""What an action is for: all that a filter matches, or entries chosen one by one.

An action whose subject is something else than entries has a Selection of its own (see `Verb.selects`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from base.audit.subjects import Subject
from spool.filters import Count, SpoolFilter, count, page
from spool.filters.pages import matching_ids
from spool.models.entry import Entry

MOST_CHOSEN = 10_000
# A tenth of a large number is counted in this time when the whole of it takes no longer than a page may.
QUICK_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Selection:
    """Either `filter` or `ids`. Entries chosen from a list of one mailbox's are meant as far as they are for it."""

    filter: Any = None
    ids: tuple[int, ...] = ()
    of_mailbox: str = ""

    @classmethod
    def of(cls, what: SpoolFilter | Iterable[int] | Selection) -> Self:
        if isinstance(what, cls):
            return what
        assert not isinstance(what, Selection)
        if isinstance(what, SpoolFilter):
            return cls(filter=what)
        return cls(ids=tuple(sorted({int(number) for number in what}))[:MOST_CHOSEN])

    @classmethod
    def from_json(cls, chosen: dict[str, Any], ids: list[int]) -> Self:
        return cls(ids=tuple(ids)) if ids else cls(filter=SpoolFilter.from_json(chosen))

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
            return Count(Entry.objects.filter(id__in=self.ids).count())
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
            return list(Entry.objects.filter(id__in=self.ids).defer("traceback").order_by("-id")[:size])
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
        name = Entry.objects.filter(id=self.ids[0]).values_list("file_name", flat=True).first()
        return Subject("message", name) if name else None

    def sentence(self) -> str:
        """In words, for people and the audit."""
        if self.filter is not None:
            return self.filter.sentence()
        names = list(Entry.objects.filter(id__in=self.ids[:20]).values_list("file_name", flat=True))
        more = f" and {len(self.ids) - len(names)} more" if len(self.ids) > len(names) else ""
        return f"{', '.join(names)}{more}"
