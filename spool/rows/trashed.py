"""The tables of the trash: an entry's rows are carried there and back as they are, whatever columns they have.

Everything here runs in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from spool.models.recipient import Outcome
from spool.models.trashed import TrashState
from spool.rows.columns import EntryRow, RecipientRow, Row, columns_of
from spool.rows.entries import AT_REST
from spool.rows.journal import LONGEST_REPLY
from spool.rows.statements import db_time, execute, execute_many, id_list, on_sqlite

_ENTRY: Final = ", ".join(columns_of(EntryRow))
_RECIPIENT: Final = ", ".join(columns_of(RecipientRow))
# What an entry of the spool has otherwise than it was.
_CHANGED: Final = {
    "leased_by": "''",
    "status": AT_REST,
    "due_at": "CASE WHEN hold THEN NULL WHEN next_attempt > %s THEN next_attempt ELSE %s END",
    "turn_at": "NULL",
}
_AS_IT_WAS: Final = ", ".join(_CHANGED.get(name, name) for name in columns_of(EntryRow))


def take(ids: Sequence[int], event_id: int, now: datetime, reply: str, state: TrashState, target: str) -> list[int]:
    """Carry entries and their recipients from the spool to the trash; the ids of those that were there."""
    added = ("reply", "state", "target", "at", "event_id")
    values = [reply[:LONGEST_REPLY], state.value, target, db_time(now), event_id]
    taken = _carry(_ENTRY, _ENTRY, "spool_entry", "spool_trashed", "id", ids, added, values)
    _carry(_RECIPIENT, _RECIPIENT, "spool_recipient", "spool_trashedrecipient", "entry_id", taken)
    return taken


def restore(ids: Sequence[int], now: datetime) -> set[int]:
    """Carry them back, under nobody's lease and due by `now`; the ids of those that were still in the trash."""
    moment = db_time(now)
    put = _carry(_ENTRY, _AS_IT_WAS, "spool_trashed", "spool_entry", "id", ids, (), [moment, moment])
    _carry(_RECIPIENT, _RECIPIENT, "spool_trashedrecipient", "spool_recipient", "entry_id", put)
    return set(put)


def select(columns: Sequence[str], ids: Sequence[int], *, lock: bool = False) -> list[Row]:
    """These columns of the entries of the trash, in order; with `lock`, until the transaction ends."""
    clause, parameters = id_list(ids)
    locked = " FOR UPDATE" if lock and not on_sqlite() else ""
    found = execute(f"SELECT {', '.join(columns)} FROM spool_trashed WHERE id {clause} ORDER BY id{locked}", parameters)
    return list(found.fetchall())


def entries_waiting_for(recipient_ids: Sequence[int]) -> list[int]:
    """The entries of the trash that have those of these recipients that are still open."""
    clause, parameters = id_list(recipient_ids)
    found = execute(
        f"SELECT DISTINCT entry_id FROM spool_trashedrecipient WHERE id {clause} AND status = 'pending'", parameters
    )
    return [row[0] for row in found.fetchall()]


def settle(recipient_id: int, reply: str, host: str) -> bool:
    """Record that a recipient had the message after all, unless it has an outcome; whether it had none."""
    updated = execute(
        "UPDATE spool_trashedrecipient SET status = %s, last_reply = %s, last_host = %s"
        " WHERE id = %s AND status = 'pending' RETURNING entry_id",
        (Outcome.DELIVERED.value, reply, host, recipient_id),
    ).fetchall()
    for (entry_id,) in updated:
        execute("UPDATE spool_trashed SET recipients_done = recipients_done + 1 WHERE id = %s", (entry_id,))
    return bool(updated)


def set_moved(fingerprints: Sequence[tuple[int, str]]) -> None:
    """Entries whose files are in a folder now, by id, each with its file's fingerprint."""
    execute_many(
        "UPDATE spool_trashed SET state = %s, fingerprint = %s WHERE id = %s",
        [(TrashState.MOVED.value, fingerprint, number) for number, fingerprint in fingerprints],
    )


def remove(ids: Sequence[int]) -> None:
    """Delete entries of the trash and their recipients for good."""
    clause, parameters = id_list(ids)
    execute(f"DELETE FROM spool_trashedrecipient WHERE entry_id {clause}", parameters)
    execute(f"DELETE FROM spool_trashed WHERE id {clause}", parameters)


def _carry(
    columns: str,
    expressions: str,
    source: str,
    target: str,
    key: str,
    ids: Sequence[int],
    added: Sequence[str] = (),
    values: Sequence[Any] = (),
) -> list[int]:
    """Move the rows whose `key` is one of `ids` to another table; the `id` of each row that was moved.

    Their `columns` become `expressions`, and the columns `added` are new; `values` are the parameters of both.
    """
    if not ids:
        return []
    clause, parameters = id_list(ids)
    selected = ", ".join([expressions, *("%s" for _ in added)])
    into = f"INSERT INTO {target} ({', '.join([columns, *added])}) SELECT {selected}"
    if on_sqlite():
        execute(f"{into} FROM {source} WHERE {key} {clause}", [*values, *parameters])
        gone = execute(f"DELETE FROM {source} WHERE {key} {clause} RETURNING id", parameters)
    else:
        # Each row is looked up and locked once: whoever comes second finds it gone.
        gone = execute(
            f"WITH gone AS (DELETE FROM {source} WHERE {key} {clause} RETURNING {columns})"
            f" {into} FROM gone RETURNING id",
            [*parameters, *values],
        )
    return [row[0] for row in gone.fetchall()]
