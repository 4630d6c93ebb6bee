"""Which items an action is for: all that a filter matches, or those chosen one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Self

from base.audit.subjects import Subject
from quarantine.filters import LARGE, ItemFilter, count, page
from quarantine.models.item import Item, ItemState
from spool.actions.selection import MOST_CHOSEN, Selection
from spool.filters import Count


class ItemSelection(Selection):
    """Either `filter`, an ItemFilter, or `ids` of items."""

    __slots__ = ()

    @classmethod
    def of(cls, what: Any) -> Self:
        if isinstance(what, cls):
            return what
        if isinstance(what, ItemFilter):
            return cls(filter=what)
        numbers: Iterable[int] = what
        return cls(ids=tuple(sorted({int(number) for number in numbers}))[:MOST_CHOSEN])

    @classmethod
    def from_json(cls, chosen: dict[str, Any], ids: list[int]) -> Self:
        return cls(ids=tuple(ids)) if ids else cls(filter=ItemFilter.from_json(chosen))

    def last_id(self) -> int:
        return Item.objects.order_by("-id").values_list("id", flat=True).first() or 0

    def busy(self, sample: list[Any], now: datetime) -> int:
        return 0

    def count(self, limit: int = 10_000) -> Count:
        if self.filter is None:
            return Count(self._items().count())
        return count(self.filter, limit)

    def count_all(self) -> int:
        return len(self.ids) if self.filter is None else self._items().order_by().count()

    def sample(self, size: int) -> list[Any]:
        if self.filter is not None:
            return page(self.filter, size=size).entries
        return list(self._items().defer(*LARGE).order_by("-id")[:size])

    def line(self, row: Item) -> str:
        return f"{row.file_name} {row.sender or '<>'} {row.subject}: {row.why}"

    def chunks(self, cursor: int, last_id: int, size: int) -> Iterator[list[int]]:
        while True:
            wanted = self._items().filter(id__gt=cursor, id__lte=last_id).order_by("id")
            ids = list(wanted.values_list("id", flat=True)[:size])
            if not ids:
                return
            yield ids
            cursor = ids[-1]

    def subject(self) -> Subject | None:
        if self.filter is not None or len(self.ids) != 1:
            return None
        name = self._items().values_list("file_name", flat=True).first()
        return Subject("message", name) if name else None

    def sentence(self) -> str:
        if self.filter is not None:
            return str(self.filter.sentence())
        names = list(self._items().order_by("id").values_list("file_name", flat=True)[:20])
        more = f" and {len(self.ids) - len(names)} more" if len(self.ids) > len(names) else ""
        return f"{', '.join(names)}{more}"

    def _items(self) -> Any:
        if self.filter is not None:
            return self.filter.apply(Item.objects.all())
        return Item.objects.filter(id__in=self.ids, state=ItemState.HELD)
