"""A page of quarantined messages as a list shows it, and what the quarantine takes on the disk."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import QueryDict

from quarantine.filters import ITEM_FIELDS, SORTS, ItemFilter, Plan, count, page
from quarantine.models.item import Item, ItemKind
from quarantine.models.size import size_of, warn_bytes
from spool.console.listing import Column, Listing, headings_of, is_patient, listed
from spool.filters import BadFilter

COLUMNS = (
    Column("File Name", "c-name", "-file_name"),
    Column("Date", "c-date right", "-id"),
    Column("Sender", "c-sender", "sender"),
    Column("Recipients", "c-rcpt right", "-recipients_total"),
    Column("Size", "c-size right", "-size_bytes"),
    Column("Attempts", "c-tries right", "-attempts"),
    Column("Time in Quarantine", "c-age right", "-id", True),
    Column("Time of Removal", "c-removal right", "removal"),
)


@dataclass(frozen=True, slots=True)
class Usage:
    """How much the files of one quarantine take on the disk, and when that is worth a warning (bytes)."""

    size_bytes: int
    warn_bytes: int

    @property
    def too_much(self) -> bool:
        return self.size_bytes > self.warn_bytes


def listing(query: QueryDict, kind: ItemKind) -> Listing[Item]:
    """The page that a URL's query asks for. Never raises for what a query says."""
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
        look=lambda sort, after: page(chosen, sort=sort, after=after, plan=plan, patient=is_patient(query)),
        counted=lambda: count(chosen, plan=plan),
        headings=lambda sort: headings_of(COLUMNS, conditions, sort, lambda _: ""),
    )


def usage(kind: ItemKind) -> Usage:
    """What the quarantine takes on the disk, as it was a short while ago."""
    return Usage(size_of(kind).size_bytes, warn_bytes(kind))
