"""Which items an action is for: all that a filter matches, or those chosen one by one."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from quarantine.filters import LARGE, ItemFilter, count, page
from quarantine.models.item import Item, ItemState
from spool.actions.selection import RowSelection
from spool.filters import Count


class ItemSelection(RowSelection):
    """Either `filter`, an ItemFilter, or `ids` of items."""

    __slots__ = ()
    filters = ItemFilter
    model = Item
    large = LARGE

    def count(self, limit: int = 10_000) -> Count:
        return super().count(limit) if self.filter is None else count(self.filter, limit)

    def sample(self, size: int) -> list[Any]:
        return super().sample(size) if self.filter is None else page(self.filter, size=size).entries

    def line(self, row: Item) -> str:
        return f"{super().line(row)}: {row.why}"

    def rows(self) -> QuerySet[Item]:
        if self.filter is None:
            return Item.objects.filter(id__in=self.ids, state=ItemState.HELD)
        items: QuerySet[Item] = self.filter.apply(Item.objects.all())
        return items
