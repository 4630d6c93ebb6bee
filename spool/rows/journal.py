"""The rows of the two logs, attempts and traces, as the batch statements take them; what is traced is counted too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from spool.message.envelope import AttemptRecord, LeasedEntry, RecipientResult
from spool.message.summary import storable
from spool.models.recipient import Outcome
from spool.rows import statements
from spool.rows.keys import list_key, other_key, recipient_keys
from spool.traffic import counting

LONGEST_REPLY: Final = 500
_DELIVERED: Final = Outcome.DELIVERED.value


def attempt_rows(entry: LeasedEntry, attempts: Iterable[AttemptRecord]) -> list[statements.Row]:
    """Rows of statements.ATTEMPT_COLUMNS."""
    return [
        (
            entry.file_name, statements.db_time(attempt.at), "\n".join(attempt.recipients), storable(attempt.host, 255),
            attempt.ip, attempt.tls[:60], attempt.code, storable(attempt.reply, LONGEST_REPLY), attempt.seconds,
        )
        for attempt in attempts
    ]  # fmt: skip


def trace_rows(entry: LeasedEntry, results: Iterable[RecipientResult], now: datetime) -> list[statements.Row]:
    """Rows of statements.TRACE_COLUMNS for recipients that ended `now`."""
    created, ended = statements.db_time(entry.created), statements.db_time(now)
    sender_key, of_list = other_key(entry.sender), list_key(entry.origin, entry.sender)
    return [
        (
            entry.file_name, entry.sender, result.recipient.address, result.recipient.kind.value, result.outcome.value,
            storable(result.reply, LONGEST_REPLY), storable(result.host, 255), entry.auth_user, entry.client_ip,
            entry.ehlo_name, entry.tls, entry.port, entry.subject, entry.message_id, entry.size_bytes,
            entry.attempts + 1, created, ended, sender_key,
            *recipient_keys(result.recipient, of_list),
        )
        for result in results
    ]  # fmt: skip


def insert_traces(rows: Sequence[statements.Row], now: datetime) -> None:
    """Insert rows of `trace_rows`, and count them as traffic, in the caller's transaction."""
    statements.insert("spool_trace", statements.TRACE_COLUMNS, rows)
    # Outcome, kind, sender, client IP, recipient, created: see counting.Ending.
    counting.endings(
        [
            (row[4], kind, row[1], row[8], row[2], row[16])
            for row in rows
            if (kind := counting.counted_as(row[3], row[6]) if row[4] == _DELIVERED else row[3])
        ],
        now,
    )  # fmt: skip
