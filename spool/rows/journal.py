"""The rows of the two logs, attempts and traces, as the batch statements take them; what is traced is counted too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from base import machine
from spool.message.envelope import AttemptRecord, LeasedEntry, RecipientResult
from spool.message.summary import storable
from spool.models.recipient import Outcome
from spool.rows import statements, traffic_batches
from spool.rows.columns import AttemptRow, EntryRow, Row, TraceRow, columns_of, inserted, picker, values_of
from spool.rows.keys import list_key, other_key, recipient_keys

LONGEST_REPLY: Final = 500
_trace_values = values_of(TraceRow)
_attempt_values = values_of(AttemptRow)
_ATTEMPT: Final = inserted(AttemptRow)
_TRACE: Final = inserted(TraceRow)
_ending_of = picker(TraceRow, "outcome", "kind", "host", "sender", "client_ip", "recipient", "created", "auth_user")
_DELIVERED: Final = Outcome.DELIVERED.value


def attempt_rows(entry: LeasedEntry, attempts: Iterable[AttemptRecord]) -> list[Row]:
    """Rows for `insert_attempts`."""
    here = machine.noted()
    return [
        _attempt_values(
            file_name=entry.file_name,
            at=statements.db_time(attempt.at),
            recipients="\n".join(attempt.recipients),
            host=storable(attempt.host, 255),
            ip=attempt.ip,
            tls=attempt.tls[:60],
            code=attempt.code,
            reply=storable(attempt.reply, LONGEST_REPLY),
            seconds=attempt.seconds,
            machine=here,
        )
        for attempt in attempts
    ]


def trace_rows(
    entry: LeasedEntry, results: Iterable[RecipientResult], now: datetime, *, tried: bool = True
) -> list[Row]:
    """Rows for `insert_traces` or `insert_uncounted`, of recipients that ended `now`, `tried` once more before."""
    attempts = entry.attempts + 1 if tried else entry.attempts
    created, ended = statements.db_time(entry.created), statements.db_time(now)
    sender_key, of_list = other_key(entry.sender), list_key(entry.origin, entry.sender)
    rows = []
    for result in results:
        recipient_key, original = recipient_keys(result.recipient, of_list)
        rows.append(
            _trace_values(
                file_name=entry.file_name,
                sender=entry.sender,
                recipient=result.recipient.address,
                kind=result.recipient.kind.value,
                outcome=result.outcome.value,
                reply=storable(result.reply, LONGEST_REPLY),
                host=storable(result.host, 255),
                auth_user=entry.auth_user,
                client_ip=entry.client_ip,
                ehlo_name=entry.ehlo_name,
                tls=entry.tls,
                port=entry.port,
                subject=entry.subject,
                message_id=entry.message_id,
                size_bytes=entry.size_bytes,
                attempts=attempts,
                created=created,
                ended=ended,
                sender_key=sender_key,
                recipient_key=recipient_key,
                original=original,
            )
        )
    return rows


def insert_attempts(rows: Sequence[Row]) -> None:
    """Insert rows of `attempt_rows`, in the caller's transaction."""
    statements.insert("spool_attempt", _ATTEMPT, rows)


def insert_traces(rows: Sequence[Row], now: datetime, deferred: Sequence[traffic_batches.Deferral] = ()) -> None:
    """Insert rows of `trace_rows`, and count them and what was `deferred` as traffic, in the caller's transaction."""
    if rows:
        insert_uncounted(rows)
    ended: list[traffic_batches.Ending] = []
    logins: list[str] = []
    for outcome, kind, host, sender, client_ip, recipient, created, login in map(_ending_of, rows):
        if counted := traffic_batches.counted_as(kind, host) if outcome == _DELIVERED else kind:
            ended.append((outcome, counted, sender, client_ip, recipient, created))
            logins.append(login)
    traffic_batches.endings(ended, now, logins, deferred)


def insert_uncounted(rows: Sequence[Row]) -> None:
    """Insert rows of `trace_rows` of what is no traffic, in the caller's transaction."""
    statements.insert("spool_trace", _TRACE, rows)


def trace_open(entry_ids: Sequence[int], outcome: Outcome, reply: str, now: datetime) -> None:
    """Write down that the open recipients of these entries have ended by `outcome`, in the caller's transaction."""
    clause, parameters = statements.id_list(entry_ids)
    statements.execute(
        f"{_OF_OPEN[outcome]} WHERE e.id {clause}", [reply[:LONGEST_REPLY], statements.db_time(now), *parameters]
    )


def untrace(names: Sequence[str], moments: Sequence[datetime], outcome: Outcome) -> None:
    """Take back what `trace_open` wrote down at these moments of the files `names`: earlier ends are for good."""
    ended_at = sorted({statements.db_time(moment) for moment in moments})  # type: ignore[type-var]
    if statements.on_sqlite():
        named, ended = (f"IN ({', '.join('%s' for _ in values)})" for values in (names, ended_at))
        values: list[Any] = [*names, *ended_at]
    else:
        named = ended = "= ANY(%s)"
        values = [list(names), ended_at]
    statements.execute(
        f"DELETE FROM spool_trace WHERE file_name {named} AND outcome = '{outcome.value}' AND ended {ended}", values
    )


def trace_trashed(entry_ids: Sequence[int]) -> None:
    """Write down what the trash says of the open recipients of its entries, in the caller's transaction."""
    clause, parameters = statements.id_list(entry_ids)
    statements.execute(f"{_OF_TRASHED} WHERE e.id {clause}", parameters)


def _open_recipients(entry: str, recipient: str, outcome: Outcome, reply: str, ended: str) -> str:
    """A statement that traces the open recipients `r` of the entries `e` in those tables, as these expressions say."""
    expressions = {name: f"e.{name}" for name in columns_of(EntryRow)} | {
        "recipient": "r.address",
        "recipient_key": "r.address_key",
        "original": "r.original_key",
        "kind": "r.kind",
        "outcome": f"'{outcome.value}'",
        "reply": reply,
        "host": "''",
        "ended": ended,
    }
    return (
        f"INSERT INTO spool_trace ({', '.join(_TRACE)}) SELECT {', '.join(expressions[name] for name in _TRACE)}"
        f" FROM {entry} e JOIN {recipient} r ON r.entry_id = e.id AND r.status = 'pending'"
    )


_OF_OPEN: Final = {
    outcome: _open_recipients("spool_entry", "spool_recipient", outcome, "%s", "%s") for outcome in Outcome
}
_OF_TRASHED: Final = _open_recipients("spool_trashed", "spool_trashedrecipient", Outcome.REMOVED, "e.reply", "e.at")
