"""What the mail log says of what delivery did: each recipient's attempt, notices, and the end of an entry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from spool.events.acceptance import acceptance
from spool.events.decisions import moment
from spool.events.mail_log import Event, id_of
from spool.message.envelope import AttemptRecord, LeasedEntry, RecipientResult, Recorded, Submission
from spool.models.recipient import Outcome


def events_of(recorded: Iterable[Recorded], now: datetime) -> Iterator[Event]:
    """The lines of a batch, entry by entry."""
    for one in recorded:
        entry = one.entry
        yield from attempts_of(entry, one.final, one.attempts, now)
        if tried := [result for result in one.waiting if result.put_off is None]:
            yield from attempts_of(entry, tried, one.attempts, now, one.due)
        for submission, name in one.spawned:
            yield from spawned(submission, name)
        if one.ended:
            delivered = sum(result.outcome is Outcome.DELIVERED for result in one.final)
            yield Event(
                {
                    "id": id_of(entry.file_name),
                    "event": "ended",
                    "nrcpt": entry.recipients_total,
                    "delivered": entry.recipients_done + delivered,
                    "attempts": entry.attempts + 1,
                    "delay": _seconds(entry.counted_from, now),
                }
            )


def attempts_of(
    entry: LeasedEntry,
    results: Sequence[RecipientResult],
    attempts: Sequence[AttemptRecord],
    now: datetime,
    due: datetime | None = None,
) -> Iterator[Event]:
    """A line for each recipient; `due` is when those that were deferred are tried again."""
    queue_id = id_of(entry.file_name)
    leased = entry.leased or now
    waited = _seconds(entry.counted_from, leased)
    by_address = {address: attempt for attempt in attempts for address in attempt.recipients}
    following = moment(due) if due is not None else ""
    for result in results:
        recipient = result.recipient
        attempt = by_address.get(recipient.address)
        inside, connecting, sending = _times(attempt, leased, now)
        yield Event(
            {
                "id": queue_id,
                "event": "attempt",
                "status": "deferred" if result.outcome is Outcome.PENDING else result.outcome.value,
                "to": recipient.address,
                "orig_to": recipient.original,
                "as": (entry.reverse_paths or {}).get(recipient.id, ""),
                "relay": _relay(result, attempt),
                "tls": attempt.tls if attempt is not None else "",
                "dsn": result.status_code,
                "delay": waited + inside + connecting + sending,
                "delays": f"{waited:.2f}/{inside:.2f}/{connecting:.2f}/{sending:.2f}",
                "next": following,
                "reply": result.reply,
            }
        )


def spawned(submission: Submission, name: str) -> Iterator[Event]:
    """A new message that comes from another one: a notice has a line among those of the other, too."""
    yield acceptance(submission, name)
    if submission.notice:
        which = {"bounce" if submission.notice == "failed" else "notice": id_of(name)}
        to = submission.envelope.recipients[0].address
        yield Event.of("notice", id_of(submission.parent), kind=submission.notice, to=to, **which)


def _times(attempt: AttemptRecord | None, leased: datetime, now: datetime) -> tuple[float, float, float]:
    """Seconds in the worker, connecting and sending, which with those before the worker are Postfix's four."""
    if attempt is None:
        return _seconds(leased, now), 0.0, 0.0
    if attempt.connected:
        inside = max(0.0, _seconds(leased, attempt.at) - attempt.connect_seconds)
        return inside, attempt.connect_seconds, attempt.seconds
    return _seconds(leased, attempt.at), attempt.seconds, 0.0


def _relay(result: RecipientResult, attempt: AttemptRecord | None) -> str:
    """The host and its address, or the part of us that it was: maildir, list, alias, forward, local, spool."""
    if attempt is None or not attempt.ip:
        return result.host or "none"
    return f"{result.host or attempt.host}[{attempt.ip}]:{attempt.port}"


def _seconds(begin: datetime, end: datetime) -> float:
    """Never negative: clocks are set back."""
    return max(0.0, (end - begin).total_seconds())
