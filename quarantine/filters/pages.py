"""Lists of quarantined messages a page at a time, and counts that never take long, over a quarantine of any size.

A page is read along the index of its order. Where conditions stand against that, it is read from the few messages that
one of them leaves, or messages are looked at window by window for a bounded time; the page then says so, and the next
one goes on there.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from quarantine.filters.conditions import ItemFilter
from quarantine.models.item import Item
from quarantine.models.size import QuarantineSize
from spool.filters import BadFilter, Count, Page, keyset
from spool.filters.keyset import look, order_of, place_at, tally, values_at
from spool.filters.pages import FEW, PAGE_SIZE, PATIENT_SECONDS, Extent, cut

# The columns by which each order is one way or the other; the last makes it total.
KEYS: Final = {
    "id": ("id",),
    "file_name": ("file_name",),
    "sender": ("sender_domain", "sender", "id"),
    "recipients_total": ("recipients_total", "id"),
    "size_bytes": ("size_bytes", "id"),
    "attempts": ("attempts", "id"),
    "removal": ("removal", "id"),
}
SORTS: Final = tuple(f"{sign}{column}" for column in KEYS for sign in ("", "-"))
LARGE: Final = ("entry", "recipients", "findings", "addresses")


class Plan:
    """How a filter is answered: what was found out for its page serves its count, too."""

    def __init__(self, chosen: ItemFilter) -> None:
        self.chosen = chosen

    @cached_property
    def few(self) -> QuerySet[Any, int] | None:
        """The ids of the items that meet one condition, when they are few."""
        return next((ids for ids in self.chosen.indexed.values() if ids[: FEW + 1].count() <= FEW), None)

    def found(self, *, straight: bool) -> QuerySet[Item] | None:
        """The matches where they are found without looking at each item; None where they are not.

        `straight` is whether an index has them in the order that is wanted.
        """
        if straight or not self.chosen.kind:
            return self.chosen.apply(Item.objects.all())
        if self.few is None:
            return None
        # With a limit the ids are found first, whatever the planner thinks of the other conditions.
        return self.chosen.apply(Item.objects.filter(id__in=self.few[: FEW + 1]))


def page(
    chosen: ItemFilter,
    *,
    sort: str = "-id",
    after: str = "",
    size: int = PAGE_SIZE,
    plan: Plan | None = None,
    patient: bool = False,
) -> Page[Item]:
    """Items that `chosen` matches, `size` at most, behind the place `after` (a page's `next`). Raises BadFilter.

    `patient` is for somebody who has asked for a longer look.
    """
    if sort not in SORTS:
        raise BadFilter(
            _("%(sort)s is not an order; there are %(sorts)s.") % {"sort": f"{sort!r}", "sorts": ", ".join(SORTS)}
        )
    column = sort.lstrip("-")
    order, behind = order_of(sort, KEYS, Item._meta.db_table), values_at(after, column)
    matches = (plan or Plan(chosen)).found(straight=chosen.straight if column == "id" else chosen.is_empty)
    if matches is not None:
        found, edge = list(order.of(matches.defer(*LARGE), behind)[: size + 1]), ""
        extent = None
    else:
        held = chosen.within(chosen.held(Item.objects.defer(*LARGE)))
        looked = look(held, chosen.meant, order, behind, size, PATIENT_SECONDS if patient else keyset.LOOK_SECONDS)
        found, edge = looked.rows, place_at(looked.edge, column)
        extent = _extent(chosen, edge, sort, looked.number, further=bool(after)) if edge else None
    if len(found) > size:
        return cut(found, size, sort)
    return Page(found, edge, extent=extent, sort=sort)


def count(chosen: ItemFilter, limit: int = 10_000, plan: Plan | None = None) -> Count:
    """How many match, counted up to `limit`, and for a bounded time where each item must be looked at."""
    matches = (plan or Plan(chosen)).found(straight=chosen.straight)
    if matches is not None:
        # In order: PostgreSQL might otherwise read the table for a condition that much of it meets.
        number = matches.order_by("id")[: limit + 1].count()
        return Count(min(number, limit), number > limit)
    held = chosen.within(chosen.held(Item.objects.all()))
    return Count(*tally(held, chosen.meant, order_of("-id", KEYS, Item._meta.db_table), limit))


def _extent(chosen: ItemFilter, edge: str, sort: str, rows: int, *, further: bool) -> Extent:
    """How far the look came, when it was cut short."""
    whole = QuarantineSize.objects.filter(kind=chosen.kind).values_list("items", flat=True).first() or 0
    at = None
    if sort.lstrip("-") == "id":
        at = Item.objects.filter(id=int(edge)).values_list("at", flat=True).first()
    return Extent(rows, whole, at, sort.startswith("-"), further)
