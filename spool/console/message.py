"""Everything the popup tells about one message, whether it is in the spool or has left it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Case, Count, Q, When
from django.utils import timezone

from accounts.addresses import key_of
from spool import suppression
from spool.console.why import Facts, LastTry, Why, why
from spool.delivery.shaping import domains, rules
from spool.delivery.shaping.classes import about
from spool.delivery.shaping.limits import Key
from spool.flow.retry import RetrySchedule
from spool.flow.shares import sender_of
from spool.message.header import Header
from spool.message.held import Source, size_of
from spool.message.structure import Structure, readable, structure_of
from spool.models import Attempt, Entry, Outcome, Recipient, Suppression, Trace, TrashedRecipient
from spool.models.entry import counted_from
from spool.models.recipient import Kind
from spool.models.settings import current

RECIPIENTS_PER_PAGE = 50
MOST_ATTEMPTS = 100
MOST_HEADERS = 300
MOST_DESTINATIONS = 3
SOURCE_PAGE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class RecipientPage:
    """Some recipients, the open ones first; `after` is where the next page begins, 0 for the last.

    `rows` are the same, each with its place on the suppression list of the sender's domain, if it has one.
    """

    recipients: list[Recipient]
    after: int
    suppressed: Mapping[int, Suppression]

    @property
    def rows(self) -> list[tuple[Recipient, Suppression | None]]:
        return [(one, self.suppressed.get(one.pk)) for one in self.recipients]


@dataclass(frozen=True, slots=True)
class SourcePage:
    """A piece of the message as it came in. Offsets are in bytes; -1 means there is no such page."""

    text: str
    start: int
    end: int
    size_bytes: int
    previous: int
    following: int


def entry_named(file_name: str) -> Entry | None:
    return Entry.objects.filter(file_name=file_name).first()


def structure_or_none(message: Source) -> Structure | None:
    """What is in a message, or None when its file is missing."""
    try:
        return structure_of(message)
    except OSError:
        return None


def recipients_of(entry: Entry, after: int = 0) -> RecipientPage:
    """Those behind the first `after`; the ones that are still open come first, for they are why it is here."""
    ended = Case(When(status=Outcome.PENDING, then=0), default=1)
    rows = list(
        Recipient.objects.filter(entry_id=entry.pk).order_by(ended, "pk")[after : after + RECIPIENTS_PER_PAGE + 1]
    )
    shown = rows[:RECIPIENTS_PER_PAGE]
    more = after + len(shown) if len(rows) > RECIPIENTS_PER_PAGE else 0
    return RecipientPage(shown, more, _suppressed(entry, shown))


def _suppressed(entry: Entry, recipients: Iterable[Recipient]) -> dict[int, Suppression]:
    """Who is on the list of the sender's domain, whatever follows from it: at most one query."""
    domain = suppression.domain_of_sender(entry.sender)
    pairs = {one.pk: (domain, key_of(one.address)) for one in recipients if domain and one.kind == Kind.REMOTE}
    found = suppression.find(set(pairs.values()), timezone.now()) if pairs else {}
    return {pk: found[pair] for pk, pair in pairs.items() if pair in found}


def attempts_of(file_name: str) -> list[Attempt]:
    """The latest attempts, newest first."""
    return list(Attempt.objects.filter(file_name=file_name).order_by("-at", "-pk")[:MOST_ATTEMPTS])


def traces_of(file_name: str) -> list[Trace]:
    """What became of each recipient, as far as a page shows it."""
    ended = list(Trace.objects.filter(file_name=file_name).order_by("pk")[:RECIPIENTS_PER_PAGE])
    removed = TrashedRecipient.objects.filter(entry__file_name=file_name, status=Outcome.PENDING).order_by("pk")
    kept = removed.select_related("entry")[: RECIPIENTS_PER_PAGE - len(ended)]
    return [*(recipient.as_trace() for recipient in kept), *ended]


def destinations_of(recipients: Iterable[Recipient]) -> list[Key]:
    """The sites that mail for those of them goes to who have not got it yet, as far as they are known. One query."""
    names = [one.domain for one in recipients if one.status == Outcome.PENDING and one.kind == Kind.REMOTE]
    return list(dict.fromkeys(domains.sites_of(list(dict.fromkeys(names))).values()))[:MOST_DESTINATIONS]


def explained(entry: Entry, attempts: list[Attempt], *, file_exists: bool) -> Why:
    """Why the entry is still here."""
    open_ones = Recipient.objects.filter(entry_id=entry.pk, status=Outcome.PENDING)
    still_open = open_ones.aggregate(n=Count("pk", filter=Q()))["n"]
    names = tuple(open_ones.order_by().values_list("domain", flat=True).distinct()[:3])
    settings = current()
    schedule = _longest(RetrySchedule(settings.retry_intervals, settings.lifetime), names, entry.last_error)
    last = next((a for a in attempts if a.code == 0 or a.code >= 400), attempts[0] if attempts else None)
    return why(
        Facts(
            now=timezone.now(),
            status=entry.status,
            open_recipients=still_open,
            total_recipients=entry.recipients_total,
            domains=names,
            attempts=entry.attempts,
            next_attempt=entry.next_attempt,
            expires=schedule.expires(counted_from(entry.created, entry.release_at)),
            last_error=entry.last_error,
            last_try=LastTry(last.at, last.host, last.ip, last.code, last.reply) if last else None,
            leased=bool(entry.leased_by),
            held=entry.hold,
            hold_reason=entry.hold_reason,
            hold_until=entry.hold_until,
            failures=entry.failures,
            file_exists=file_exists,
            turn=entry.turn_at,
            share_of=sender_of(entry.auth_user, entry.ours, entry.sender_domain, entry.client_ip).removeprefix("@"),
        )
    )


def _longest(usual: RetrySchedule, names: Sequence[str], error: str) -> RetrySchedule:
    """Of the schedules that rules have for those domains the one that lasts longest."""
    book = rules.cached()
    if not book.has_schedules or not names:
        return usual
    sites = domains.sites_of(names)
    schedules = [
        usual.under(book.of_mail(name, sites[name].site if name in sites else ""), about(error)) for name in names
    ]
    return max(schedules, key=lambda schedule: schedule.lifetime)


def headers_of(structure: Structure) -> list[tuple[str, str]]:
    """(name, text) of each header line, unfolded and decoded for reading."""
    fields = list(Header(structure.header))[:MOST_HEADERS]
    return [(name, readable(value.decode("utf-8", "surrogateescape"))) for name, value in fields]


def source_page(source: Source, start: int) -> SourcePage:
    """The page of the raw message that begins at `start`. Raises OSError."""
    size = size_of(source)
    start = max(0, min(start, max(0, size - 1)))
    with source.open("rb") as file:
        file.seek(start)
        piece = file.read(SOURCE_PAGE_BYTES)
    end = start + len(piece)
    return SourcePage(
        piece.decode("utf-8", "replace").replace("\r\n", "\n").replace("\x00", "\ufffd"),
        start,
        end,
        size,
        max(0, start - SOURCE_PAGE_BYTES) if start else -1,
        end if end < size else -1,
    )
