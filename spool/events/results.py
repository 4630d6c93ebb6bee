"""What the mail log says of what delivery did: each recipient's attempt, notices, and the end of an entry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from spool.envelope import AttemptRecord, LeasedEntry, RecipientResult, Submission
from spool.events.acceptance import acceptance
from spool.events.decisions import moment
from spool.events.mail_log import Event, id_of
from spool.models.recipient import Outcome

# As the mail log calls them: a recipient that waits was deferred by this attempt.
_STATUS: Final = {outcome: outcome.value for outcome in Outcome} | {Outcome.PENDING: "deferred"}


@dataclass(slots=True)
class Recorded:
    """What is committed of one report. `final` are without those that another worker has settled before.

    `due` is when what waits is tried again. `spawned` are the new messages and their file names.
    """

    entry: LeasedEntry
    attempts: list[AttemptRecord]
    final: list[RecipientResult]
    waiting: list[RecipientResult]
    due: datetime | None
    spawned: list[tuple[Submission, str]]
    ended: bool = True


def events_of(recorded: Iterable[Recorded], now: datetime) -> Iterator[Event]:
    """The lines of a batch, entry by entry."""
    for one in recorded:
        entry = one.entry
        queue_id = id_of(entry.file_name)
        yield from attempts_of(entry, one.final, one.attempts, now)
        yield from attempts_of(entry, one.waiting, one.attempts, now, one.due)
        for submission, name in one.spawned:
            yield from spawned(submission, name)
        if one.ended:
            delivered = sum(result.outcome is Outcome.DELIVERED for result in one.final)
            yield Event(
                "ended", queue_id, nrcpt=entry.recipients_total, delivered=entry.recipients_done + delivered,
                attempts=entry.attempts + 1, delay=_seconds(entry.created, now),
            )  # fmt: skip


def attempts_of(
    entry: LeasedEntry, results: Iterable[RecipientResult], attempts: Iterable[AttemptRecord], now: datetime,
    due: datetime | None = None,
) -> Iterator[Event]:  # fmt: skip
    """A line for each recipient; `due` is when those that were deferred are tried again."""
    queue_id = id_of(entry.file_name)
    by_address = {address: attempt for attempt in attempts for address in attempt.recipients}
    for result in results:
        yield _attempt(queue_id, entry, result, by_address.get(result.recipient.address), now, due)


def spawned(submission: Submission, name: str) -> Iterator[Event]:
    """A new message that comes from another one: a notice has a line among those of the other, too."""
    yield acceptance(submission, name)
    if submission.notice:
        which = {"bounce" if submission.notice == "failed" else "notice": id_of(name)}
        to = submission.envelope.recipients[0].address
        yield Event("notice", id_of(submission.parent), kind=submission.notice, to=to, **which)


def _attempt(
    queue_id: str, entry: LeasedEntry, result: RecipientResult, attempt: AttemptRecord | None, now: datetime,
    due: datetime | None,
) -> Event:  # fmt: skip
    """The line of one recipient. `delays` are, as Postfix has them: before the worker, in it, connecting, sending."""
    recipient = result.recipient
    leased = entry.leased or now
    waited = _seconds(entry.created, leased)
    connecting = sending = 0.0
    until = now
    if attempt is not None:
        connecting, sending, until = attempt.connect_seconds, attempt.seconds, attempt.at
    inside = max(0.0, _seconds(leased, until) - connecting)
    if attempt is not None and not attempt.connected:
        connecting, sending = sending, 0.0
    return Event(
        "attempt", queue_id, status=_STATUS[result.outcome], to=recipient.address, orig_to=recipient.original,
        relay=_relay(result, attempt), tls=attempt.tls if attempt is not None else "", dsn=result.status_code,
        delay=waited + inside + connecting + sending,
        delays=f"{waited:.2f}/{inside:.2f}/{connecting:.2f}/{sending:.2f}", reply=result.reply,
        next=moment(due) if due is not None else "",
    )  # fmt: skip


def _relay(result: RecipientResult, attempt: AttemptRecord | None) -> str:
    """The host and its address, or the part of us that it was: maildir, list, alias, forward, local, spool."""
    if attempt is None or not attempt.ip:
        return result.host or "none"
    return f"{result.host or attempt.host}[{attempt.ip}]:{attempt.port}"


def _seconds(begin: datetime, end: datetime) -> float:
    """Never negative: clocks are set back."""
    return max(0.0, (end - begin).total_seconds())
