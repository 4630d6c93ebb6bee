"""What became of messages: a search of the trace by whatever somebody has in hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from spool.filters import SpoolFilter
from spool.filters.keyset import place_in_time
from spool.filters.pages import Extent
from spool.filters.pages import page as page_of_entries
from spool.filters.trace import DEFAULT_SORT, PAGE_SIZE, TraceFilter, page
from spool.filters.trace_terms import Named, named_by
from spool.models import Entry, Outcome, Trace, TrashedRecipient

EVERYTHING = TraceFilter()
# Of what is still in the spool.
STILL_HERE = 5


@dataclass(frozen=True, slots=True)
class Found:
    """Some outcomes, newest first. `understood` says what the search took the text for."""

    traces: list[Trace]
    still_here: list[Entry]
    understood: str
    after: str
    sort: str = DEFAULT_SORT
    extent: Extent | None = None


def search(
    text: str,
    days: int,
    after: str = "",
    chosen: TraceFilter = EVERYTHING,
    sort: str = DEFAULT_SORT,
    *,
    patient: bool = False,
) -> Found:
    """Outcomes of the last `days` that have to do with `text` and meet the conditions; all when there are none."""
    named = named_by(text)
    here = [] if after else _still_here(named)
    since = timezone.now() - timedelta(days=days)
    found = page(chosen, sort=sort, after=after, choices=named.choices, since=since, patient=patient)
    if chosen.texts() or found.sort != DEFAULT_SORT:
        return Found(found.traces, here, named.sentence, found.following, found.sort, found.extent)
    # What can still be put back has its outcome in the trash.
    rows = [*found.traces, *(trace for choice in named.choices or [Q()] for trace in _in_trash(choice, since, after))]
    unique = {(trace.pk, trace.file_name, trace.recipient): trace for trace in rows}
    ordered = sorted(unique.values(), key=lambda trace: (trace.ended, trace.pk or 0), reverse=True)
    following = found.following
    if len(ordered) > PAGE_SIZE:
        last = ordered[PAGE_SIZE - 1]
        following = place_in_time((last.ended, last.pk))
    return Found(ordered[:PAGE_SIZE], here, named.sentence, following, found.sort, found.extent)


def _still_here(named: Named) -> list[Entry]:
    here = [*(_of_address(named.address) if named.address else []), *(_entries(named.here) if named.here else [])]
    return list({entry.pk: entry for entry in here}.values())[:STILL_HERE]


def _of_address(address: str) -> list[Entry]:
    """The newest entries that are from, or to, an address or an alias."""
    if "*" in address:
        return []
    return [
        entry
        for chosen in (SpoolFilter(sender=address), SpoolFilter(recipient=address))
        for entry in page_of_entries(chosen, size=STILL_HERE).entries
    ]


def _entries(condition: Q) -> list[Entry]:
    return list(Entry.objects.filter(condition).order_by("-id")[:STILL_HERE])


def _in_trash(choice: Q, since: datetime, after: str) -> list[Trace]:
    """The recipients of deleted and moved messages: their outcome comes into the trace when they can't be put back."""
    children = [(_TRASH_NAMES.get(name, f"entry__{name}"), value) for name, value in choice.children]  # type: ignore[misc]
    found = TrashedRecipient.objects.filter(Q(*children), status=Outcome.PENDING, entry__at__gte=since)
    place = _place(after)
    if place is not None:
        ended, pk = place
        found = found.filter(entry__at__lte=ended).filter(Q(entry__at__lt=ended) | Q(entry__at=ended, pk__lt=pk))
    shown = found.select_related("entry").order_by("-entry__at", "-id")[: PAGE_SIZE + 1]
    return [recipient.as_trace() for recipient in shown]


_TRASH_NAMES = {"recipient": "address", "recipient_key": "address_key", "original": "original_key"}


def _place(after: str) -> tuple[datetime, int] | None:
    """The moment and row that a page ends with; None for the first page, and for what is no place."""
    moment, _, pk = after.partition(".")
    if not (moment.isascii() and moment.isdigit() and pk.isascii() and pk.isdigit() and len(after) < 40):
        return None
    seconds, micro = divmod(int(moment), 1_000_000)
    try:
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=micro), int(pk)
    except (OverflowError, OSError, ValueError):
        return None
