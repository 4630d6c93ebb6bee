"""What became of messages: a search of the trace by whatever somebody has in hand."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.addresses import key_of
from spool.filters import SpoolFilter, page
from spool.models import Entry, Outcome, Trace, TrashedRecipient

PAGE_SIZE = 50
# Of what is still in the spool.
STILL_HERE = 5
_FILE_NAME = re.compile(r"[0-9a-hjkmnp-tv-z]{26}(?:\.eml)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """Some outcomes, newest first. `understood` says what the search took the text for."""

    traces: list[Trace]
    still_here: list[Entry]
    understood: str
    after: str


def search(text: str, days: int, after: str = "") -> Found:
    """Outcomes of the last `days` that have to do with `text`; all of them when it is empty."""
    text = text.strip()[:320]
    understood, choices, here = _meaning(text)
    since = timezone.now() - timedelta(days=days)
    rows: dict[tuple[bool, int], Trace] = {}
    for choice in choices:
        found = Trace.objects.filter(choice, ended__gte=since)
        for trace in _behind(found, after).order_by("-ended", "-id")[: PAGE_SIZE + 1]:
            rows[False, trace.pk] = trace
        for trace in _in_trash(choice, since, after):
            rows[True, trace.pk] = trace
    ordered = sorted(rows.values(), key=lambda trace: (trace.ended, trace.pk), reverse=True)
    shown = ordered[:PAGE_SIZE]
    following = f"{int(shown[-1].ended.timestamp() * 1_000_000)}.{shown[-1].pk}" if len(ordered) > PAGE_SIZE else ""
    return Found(shown, here if not after else [], understood, following)


def _meaning(text: str) -> tuple[str, list[Q], list[Entry]]:
    """What `text` is, the conditions that find it (each served by an index), and what of it is still in the spool."""
    if not text:
        return "", [Q()], []
    try:
        ip = str(ipaddress.ip_address(text.strip("[]")))
        return f"Messages that came from {ip}.", [Q(client_ip=ip)], _entries(Q(client_ip=ip))
    except ValueError:
        pass
    if _FILE_NAME.fullmatch(text):
        name = text.lower() if text.lower().endswith(".eml") else f"{text.lower()}.eml"
        return f"The message with the file name {name}.", [Q(file_name=name)], _entries(Q(file_name=name))
    bare = text.strip("<>")
    by_id = Q(message_id__in=[bare, f"<{bare}>"])
    here = [*_of_address(bare), *_entries(by_id)]
    unique = list({entry.pk: entry for entry in here}.values())[:STILL_HERE]
    looks_like_id = text.startswith("<") or re.search(r"\d{4,}.*@|\$.*@", text)
    words = (
        f"The message with the Message-ID or address {bare}."
        if looks_like_id
        else f"Messages from or to {bare}, or with that Message-ID."
    )
    key = key_of(bare)
    # Each has an index of its own; of most addresses the key is the address.
    columns = ("sender", "sender_key", "recipient", "recipient_key", "original")
    return words, [by_id, *(Q((column, key)) for column in columns)], unique


def _of_address(address: str) -> list[Entry]:
    """The newest entries that are from, or to, an address or an alias."""
    if "*" in address:
        return []
    return [
        entry
        for chosen in (SpoolFilter(sender=address), SpoolFilter(recipient=address))
        for entry in page(chosen, size=STILL_HERE).entries
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


def _behind(traces: QuerySet[Trace], after: str) -> QuerySet[Trace]:
    place = _place(after)
    if place is None:
        return traces
    ended, pk = place
    return traces.filter(ended__lte=ended).filter(Q(ended__lt=ended) | Q(ended=ended, pk__lt=pk))


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
