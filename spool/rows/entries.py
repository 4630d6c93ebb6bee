"""Entries: how they come into their table, whose they are to change, and how they leave it.

Everything here runs in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from spool.rows import recipients, statements
from spool.rows.columns import EntryRow, Row, columns_of, inserted, values_of
from spool.rows.statements import db_time, execute, id_list, on_sqlite

# Makes a row for `insert`.
entry_values = values_of(EntryRow)
_COLUMNS: Final = inserted(EntryRow)

# An entry that nobody works on any more is not being delivered: it waits, or has not been tried yet.
AT_REST = (
    "CASE WHEN status IN ('local', 'remote') THEN CASE WHEN attempts > 0 THEN 'waiting' ELSE 'delay' END"
    " ELSE status END"
)


def next_ids(count: int) -> tuple[Sequence[int], int]:
    """`count` fresh entry ids, and the number of the transaction; 0 on SQLite, which has none.

    Call it inside the transaction that inserts them.
    """
    if on_sqlite():
        # This transaction is the only writer, so nobody else can take the same numbers.
        row = execute("SELECT seq FROM sqlite_sequence WHERE name = 'spool_entry'", ()).fetchone()
        first = (row[0] if row else 0) + 1
        return range(first, first + count), 0
    here = execute(
        "SELECT nextval('spool_entry_id_seq'), txid_current() FROM generate_series(1, %s)", (count,), kept=True
    )
    rows = here.fetchall()
    return [row[0] for row in rows], rows[0][1]


def insert(rows: Sequence[Row]) -> None:
    """Insert entries, as `entry_values` makes them."""
    statements.insert("spool_entry", _COLUMNS, rows)


def remove_finished(owner: str, entry_ids: Sequence[int]) -> dict[int, int]:
    """Delete finished entries that `owner` still holds; returns those, each with its count of delivered recipients."""
    clause, parameters = id_list(entry_ids)
    removed = execute(
        f"DELETE FROM spool_entry WHERE id {clause} AND leased_by = %s RETURNING id, recipients_done",
        [*parameters, owner],
        kept=True,
    ).fetchall()
    return dict(removed)


def add_recipients(entry_id: int, number: int) -> None:
    """Count `number` more recipients of an entry."""
    execute("UPDATE spool_entry SET recipients_total = recipients_total + %s WHERE id = %s", [number, entry_id])


_NEW: Final = {"id": "%s", "file_name": "%s", "recipients_done": "0"}
_ALL: Final = columns_of(EntryRow)
assert _ALL[:2] == ("id", "file_name"), "the order of the parameters"
_COPY: Final = (
    f"INSERT INTO spool_entry ({', '.join(_ALL)}) SELECT {', '.join(_NEW.get(name, name) for name in _ALL)}"
    " FROM spool_entry WHERE id = %s"
)
_DIRECTION: Final = (
    "direction = CASE WHEN EXISTS (SELECT 1 FROM spool_recipient r WHERE r.entry_id = spool_entry.id"
    " AND r.kind = 'remote') THEN 2 ELSE 1 END"
)


def split(entry_id: int, new_id: int, file_name: str, recipient_ids: Sequence[int]) -> None:
    """Give some recipients of an entry to a new one that is otherwise like it, with a file of its own."""
    number = len(recipient_ids)
    clause, parameters = id_list(recipient_ids)
    execute(_COPY, [new_id, file_name, entry_id])
    execute(f"UPDATE spool_recipient SET entry_id = %s WHERE id {clause}", [new_id, *parameters])
    execute(f"UPDATE spool_entry SET recipients_total = %s, {_DIRECTION} WHERE id = %s", [number, new_id])
    execute(
        f"UPDATE spool_entry SET recipients_total = recipients_total - %s, {_DIRECTION} WHERE id = %s",
        [number, entry_id],
    )


def remove(ids: Sequence[int]) -> None:
    """Delete entries and their recipients, which are kept elsewhere now."""
    recipients.remove(ids)
    clause, parameters = id_list(ids)
    execute(f"DELETE FROM spool_entry WHERE id {clause}", parameters)


def lock_free(ids: Sequence[int], lapsed: datetime | None) -> list[int]:
    """Those that nobody works on, or whose lease has lapsed at that moment, locked until the transaction ends."""
    clause, parameters = id_list(ids)
    free, moment = ("leased_by = ''", []) if lapsed is None else ("(leased_by = '' OR due_at <= %s)", [db_time(lapsed)])
    rows = execute(
        f"SELECT id FROM spool_entry WHERE id {clause} AND {free} ORDER BY id"
        + ("" if on_sqlite() else " FOR UPDATE SKIP LOCKED"),
        [*parameters, *moment],
    )
    return [row[0] for row in rows.fetchall()]


def count(ids: Sequence[int]) -> int:
    """How many of them there are."""
    clause, parameters = id_list(ids)
    return int(execute(f"SELECT COUNT(*) FROM spool_entry WHERE id {clause}", parameters).fetchone()[0])


def sizes(ids: Sequence[int]) -> list[tuple[str, int, int]]:
    """The file name, number of recipients and bytes of each of them that there is."""
    clause, parameters = id_list(ids)
    rows = execute(f"SELECT file_name, recipients_total, size_bytes FROM spool_entry WHERE id {clause}", parameters)
    return list(rows.fetchall())


def throttled(ids: Sequence[int]) -> set[int]:
    """Those of them that wait because of a limit."""
    if not ids:
        return set()
    clause, parameters = id_list(ids)
    rows = execute(f"SELECT id FROM spool_entry WHERE id {clause} AND status = 'throttled'", parameters)
    return {row[0] for row in rows.fetchall()}


def shared_with_others(ids: Sequence[int], key: str) -> list[tuple[int, str, str, str]]:
    """Those of the entries that somebody but the mailbox `key` waits for: id, subspool, file name, who works on it."""
    clause, parameters = id_list(ids)
    rows = execute(
        f"SELECT e.id, e.subspool, e.file_name, e.leased_by FROM spool_entry e WHERE e.id {clause}"
        " AND EXISTS (SELECT 1 FROM spool_recipient r WHERE r.entry_id = e.id AND r.status = 'pending'"
        " AND r.address <> %s AND COALESCE(r.address_key, '') <> %s)",
        [*parameters, key, key],
    )
    return list(rows.fetchall())
