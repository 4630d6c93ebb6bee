"""A page of quarantined messages as a list shows it, and what the quarantine takes on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models.functions import Left
from django.http import QueryDict

from quarantine.filters import ITEM_FIELDS, SORTS, ItemFilter, Plan, count, page
from quarantine.models.item import Item, ItemKind
from quarantine.models.size import size_of, warn_bytes
from spool.console.listing import Column, Listing, headings_of, is_patient, listed, why_never
from spool.filters import BadFilter

# An address and the end of its line.
_LONGEST: Final = 321


@dataclass(frozen=True, slots=True)
class Usage:
    """How much the files of one quarantine take on the disk, and when that is worth a warning (bytes)."""

    size_bytes: int
    warn_bytes: int

    @property
    def too_much(self) -> bool:
        return self.size_bytes > self.warn_bytes


def listing(query: QueryDict, kind: ItemKind, columns: Sequence[Column], size: int) -> Listing[Item]:
    """The page of that `size` that a URL's query asks for. Never raises for what a query says."""
    error = ""
    try:
        chosen = ItemFilter.from_query(query, kind=kind.value)
    except BadFilter as problem:
        chosen, error = ItemFilter(kind=kind.value), str(problem)
    conditions, plan = chosen.texts(), Plan(chosen)
    return listed(
        query,
        chosen,
        conditions,
        ITEM_FIELDS,
        SORTS,
        error,
        look=lambda sort, after: page(chosen, sort=sort, after=after, size=size, plan=plan, patient=is_patient(query)),
        counted=lambda: count(chosen, plan=plan),
        headings=lambda sort: headings_of(columns, conditions, sort, why_never),
    )


def recipients_of(items: Sequence[Item]) -> dict[int, str]:
    """The first recipient of each, by its id: of a list of any length, no more than that is read."""
    firsts = Item.objects.filter(id__in=[item.pk for item in items]).values_list("id", Left("addresses", _LONGEST))
    return {pk: text.partition("\n")[0] for pk, text in firsts}


def usage(kind: ItemKind) -> Usage:
    """What the quarantine takes on the disk, as it was a short while ago."""
    return Usage(size_of(kind).size_bytes, warn_bytes(kind))
