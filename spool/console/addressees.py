"""To whom the messages of a page go: the first recipient of each, in one query however many recipients there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import OuterRef, QuerySet, Subquery

from spool.models import Entry, Recipient


@dataclass(frozen=True, slots=True)
class Addressee:
    """The first recipient of a message, its domain, and how many others there are."""

    address: str
    domain: str
    others: int


def addressees(entries: Sequence[Entry]) -> dict[int, Addressee]:
    """By the message's id; what has no recipient is not in it."""
    rows = (
        Entry.objects.filter(id__in=[entry.pk for entry in entries])
        .annotate(first=_first("address"), domain=_first("domain"))
        .values_list("id", "first", "domain", "recipients_total")
    )
    return {
        pk: Addressee(address, domain, max(0, total - 1)) for pk, address, domain, total in rows if address is not None
    }


def _first(column: str) -> Subquery:
    # In the order of the index alone: PostgreSQL might otherwise look for the lowest id along the primary key.
    rows: QuerySet[Recipient, str] = (
        Recipient.objects.filter(entry=OuterRef("pk")).order_by("entry_id").values_list(column, flat=True)
    )
    return Subquery(rows[:1])
