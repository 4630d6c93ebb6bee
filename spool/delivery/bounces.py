"""Counting the reports of undelivered mail that come back to our users and lists.

Anybody can write such a report. So it counts only for what was sent: a line of the trace in the name of whom it comes
back to, for the recipient that it names, and each line once. What nobody of ours sent counts for nobody.

Who writes to whom is easily guessed. So mail to that recipient ends (spool.suppression) only by a report that returns
the message, or its header: its Message-ID is known to who sent it and who got it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from django.db.models import Q

from accounts import directory
from accounts.addresses import key_of
from accounts.directory import LocalList, LocalUser
from accounts.local_addresses import list_of_bounces
from base.batches import batched
from spool.dsn import feedback
from spool.dsn.failure import BouncedRecipient
from spool.dsn.feedback import Complaint
from spool.dsn.parse import recognise
from spool.message.envelope import LeasedEntry, LeasedRecipient
from spool.message.summary import storable
from spool.models.bounce import ReceivedBounce
from spool.models.entry import Origin
from spool.models.recipient import Kind, Outcome
from spool.models.suppression import Finding, SuppressionReason
from spool.models.trace import Trace
from spool.suppression import DEAD
from spool.trusted import trusts

# Hosts give up within four or five days (RFC 5321 4.5.4.1), some later.
LONGEST_AWAY: Final = timedelta(days=14)
# The parser looks at no more than this of a bounce.
_BOUNCE_BYTES: Final = 256 * 1024
_HEAD_BYTES: Final = 8 * 1024
# Recipients in one statement, each twice; and so many lines of the trace are looked at for them, the newest.
_QUERY_SIZE: Final = 2_000
_MOST_LINES: Final = 20_000
_BRACKETED: Final = re.compile(rb"<[^<>\s]{1,253}>")

LocalWork = tuple[LeasedEntry, list[LeasedRecipient]]


@dataclass(frozen=True, slots=True)
class _Reported:
    """A report to one of ours: `user` is who it counts for, `senders` the keys by which the mail may have gone out."""

    user: str
    senders: frozenset[str]
    failures: tuple[BouncedRecipient, ...]
    content: bytes


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the trace that a report can be about."""

    id: int
    recipient: str
    message_id: str


@dataclass(slots=True)
class Besides:
    """What else a batch brought, by the places of its entries: complaints, and recipients who are proved to be dead."""

    complaints: dict[int, Complaint] = field(default_factory=dict)
    dead: dict[int, list[Finding]] = field(default_factory=dict)


# By the keys of its sender and of its recipient.
_Lines = dict[tuple[str, str], list[_Line]]


def count(batch: Sequence[LocalWork], now: datetime, besides: Besides | None = None) -> list[list[ReceivedBounce]]:
    """The bounces that each entry brings our users and lists; rows that are not saved yet. What follows from them, and
    complaints, which come in the same clothes, are put into `besides`.

    Only mail from the null sender, from a mailer's usual address, or with a report in it is read. It counts at the
    first attempt of the entry that brought it, and not again when it is forwarded. Mail to `<list>-bounces@` counts for
    the list. Where there is no report there is no query; otherwise their number grows with that of failed recipients.
    """
    besides = besides if besides is not None else Besides()
    reported = [_reported(*work, place, besides.complaints) for place, work in enumerate(batch)]
    if not any(reported):
        return [[] for _ in batch]
    names = {name for some in reported for one in some for failure in one.failures for name in _names(failure)}
    senders = {sender for some in reported for one in some for sender in one.senders}
    lines = _lines(names, senders, now)
    used: set[int] = set()
    counted = list[list[ReceivedBounce]]()
    for place, some in enumerate(reported):
        found = [pair for one in some for pair in _bounces(one, lines, used, now)]
        counted.append([bounce for bounce, _ in found])
        if dead := [_finding(bounce) for bounce, is_proved in found if is_proved and bounce.status in DEAD]:
            besides.dead[place] = dead
    return counted


def _reported(
    entry: LeasedEntry, recipients: Sequence[LeasedRecipient], place: int, complained: dict[int, Complaint]
) -> list[_Reported]:
    if entry.attempts or entry.origin in (Origin.FORWARD, Origin.LIST):
        return []
    try:
        content = _suspected_bounce(entry)
    except OSError:
        # Delivery will say that the file can't be read.
        return []
    failures = recognise(content, entry.sender) if content else None
    if content and not failures and (complaint := feedback.recognise(content)) is not None:
        complained[place] = complaint
    if not failures:
        return []
    senders: dict[str, set[str]] = {}
    for recipient in recipients:
        if user := _who_bounced(recipient):
            senders.setdefault(user, {user}).update(_senders(recipient))
    return [_Reported(user, frozenset(senders[user]), failures, content) for user in sorted(senders)]


def _suspected_bounce(entry: LeasedEntry) -> bytes:
    """The message as far as the parser needs it, or nothing when it can't be a bounce."""
    with entry.open() as file:
        head = file.read(_HEAD_BYTES)
        by_mailer = entry.sender.partition("@")[0].lower() in ("", "mailer-daemon", "postmaster")
        if not by_mailer and b"multipart/report" not in head.lower():
            return b""
        return head + file.read(_BOUNCE_BYTES - len(head))


def _who_bounced(recipient: LeasedRecipient) -> str:
    """Whose mail came back: the list behind a bounce address, or the user; "" when nobody of ours."""
    for address in (recipient.original, recipient.address):
        if name := list_of_bounces(key_of(address)):
            found = directory.lookup(name)
            if isinstance(found, LocalList):
                return found.address
    found = directory.lookup(recipient.address)
    return found.address if isinstance(found, LocalUser) else ""


def _senders(recipient: LeasedRecipient) -> Iterator[str]:
    """The keys of the reverse-paths that lead to a recipient: what was written, with or without its +tag."""
    for address in (recipient.original, recipient.address):
        if address:
            yield key_of(address)


def _names(failure: BouncedRecipient) -> Iterator[str]:
    """The keys by which a failed recipient may stand in the trace."""
    for address in (failure.address, *failure.also):
        yield storable(key_of(address), 320)


def _lines(names: Iterable[str], senders: Collection[str], now: datetime) -> _Lines:
    """The lines about these recipients on which no report was counted, the newest first."""
    found: _Lines = {}
    trusted = cache(trusts)
    for some in batched(sorted(names), _QUERY_SIZE):
        # By recipients alone: of one sender there may be a million lines, and SQLite would look at them all.
        rows = list(
            Trace.objects.filter(
                Q(recipient__in=some) | Q(recipient_key__in=some) | Q(original__in=some),
                # What went out, and what we gave up ourselves: of that our own notice comes by here.
                Q(outcome=Outcome.DELIVERED, kind=Kind.REMOTE) | Q(outcome__in=(Outcome.BOUNCED, Outcome.EXPIRED)),
                ended__gt=now - LONGEST_AWAY,
            )
            .order_by("-ended")
            .values_list("id", "sender", "recipient", "original", "auth_user", "client_ip", "message_id")[:_MOST_LINES]
        )
        rows = [row for row in rows if key_of(row[1]) in senders]
        counted = _counted([row[0] for row in rows])
        for id, sender, recipient, original, auth_user, client_ip, message_id in rows:
            key = key_of(sender)
            if id in counted or is_strangers(key, original, auth_user, client_ip, trusted):
                continue
            for name in {key_of(recipient), original or ""} - {""}:
                found.setdefault((key, name), []).append(_Line(id, recipient, message_id))
    return found


def is_strangers(
    sender: str, original: str, auth_user: str, client_ip: str, trusted: Callable[[str], bool] = trusts
) -> bool:
    """Whether what a line of the trace is about was sent on for a stranger: it has the sender that he gave it.

    `sender` may be a list's; `trusted` says of a client's address whether it is one of ours.
    """
    is_lists = sender.partition("@")[0].endswith("-bounces")
    return bool(original and client_ip and not auth_user and not is_lists) and not trusted(client_ip)


def _counted(ids: Sequence[int]) -> set[int | None]:
    counted: set[int | None] = set()
    for some in batched(ids, _QUERY_SIZE):
        counted.update(ReceivedBounce.objects.filter(trace_id__in=some).values_list("trace_id", flat=True))
    return counted


def _bounces(
    reported: _Reported, lines: _Lines, used: set[int], now: datetime
) -> Iterator[tuple[ReceivedBounce, bool]]:
    """A row for each failed recipient to whom something was sent on which no report has come, and whether the report
    returns what was sent; adds to `used`."""
    returned = {found.decode("ascii", "replace") for found in _BRACKETED.findall(reported.content)}
    for failure in reported.failures:
        keys = [(sender, name) for name in _names(failure) for sender in sorted(reported.senders)]
        about = [one for key in keys for one in lines.get(key, ()) if one.id not in used]
        if not about:
            continue
        line = next((one for one in about if one.message_id in returned), about[0])
        used.add(line.id)
        bounce = ReceivedBounce(
            user=reported.user,
            domain=reported.user.rpartition("@")[2],
            failed_recipient=line.recipient,
            status=storable(failure.status, 20),
            diagnostic=storable(failure.diagnostic, 500),
            received=now,
            trace_id=line.id,
        )
        yield bounce, line.message_id in returned


def _finding(bounce: ReceivedBounce) -> Finding:
    said = f"reported: {bounce.status} {bounce.diagnostic}".strip()
    return Finding(bounce.domain, bounce.failed_recipient, SuppressionReason.BOUNCE, said)
