"""What became of somebody's mail, or of a domain's: the newest outcomes, page by page along an index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Q, QuerySet

from accounts.addresses import key_of
from spool.filters import BadFilter
from spool.filters.keyset import place_in_time, values_in_time
from spool.models import Trace
from spool.ownership import Ownership

PAGE: Final = 50
# A domain has no index of its own: so many of the newest are looked through for one page, and the next goes on there.
LOOKED_THROUGH: Final = 10_000


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Some outcomes, newest first. `after` is where the next page begins; `looked` how many were looked through where
    the page was not filled."""

    traces: list[Trace]
    after: str = ""
    looked: int = 0


def of_addresses(owner: Ownership, addresses: list[str], after: str = "") -> Outcomes:
    """What has one of a few addresses as sender, recipient, or the one that was written. Five queries for each."""
    rows: dict[int, Trace] = {}
    for address in map(key_of, addresses):
        for column in ("sender", "sender_key", "recipient", "recipient_key", "original"):
            found = _behind(Trace.objects.filter(Q((column, address)), owner.traces), after)
            rows |= {trace.pk: trace for trace in found.order_by("-ended", "-id")[: PAGE + 1]}
    ordered = sorted(rows.values(), key=lambda trace: (trace.ended, trace.pk), reverse=True)
    return Outcomes(ordered[:PAGE], _place_of(ordered[PAGE - 1]) if len(ordered) > PAGE else "")


def of_all(owner: Ownership, after: str = "") -> Outcomes:
    """All of an owner's, among the newest there are."""
    newest = _behind(Trace.objects.all(), after).order_by("-ended", "-id")
    last = newest.values_list("ended", "pk")[LOOKED_THROUGH - 1 : LOOKED_THROUGH].first()
    within = newest if last is None else newest.filter(Q(ended__gt=last[0]) | Q(ended=last[0], pk__gte=last[1]))
    if last is not None:
        # An index knows no "or": this bounds it.
        within = within.filter(ended__gte=last[0])
    found = list(within.filter(owner.traces)[: PAGE + 1])
    if len(found) > PAGE:
        return Outcomes(found[:PAGE], _place_of(found[PAGE - 1]))
    return Outcomes(found, place_in_time(last), LOOKED_THROUGH) if last is not None else Outcomes(found)


def _behind(traces: QuerySet[Trace], after: str) -> QuerySet[Trace]:
    place = _read(after)
    if place is None:
        return traces
    ended, pk = place
    return traces.filter(ended__lte=ended).filter(Q(ended__lt=ended) | Q(ended=ended, pk__lt=pk))


def _place_of(trace: Trace) -> str:
    return place_in_time((trace.ended, trace.pk))


def _read(after: str) -> tuple[datetime, int] | None:
    """The moment and row that a page ends with; None for the first page, and for what is no place."""
    try:
        place = values_in_time(after, is_named=False)
    except BadFilter:
        return None
    return (place[0], place[1]) if place else None
