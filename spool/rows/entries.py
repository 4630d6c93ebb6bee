"""Entries: how they come into their table, whose they are to change, and how they leave it.

Everything here runs in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from spool.rows import statements
from spool.rows.columns import EntryRow, Row, inserted, values_of
from spool.rows.statements import execute, id_list, on_sqlite

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
    here = execute("SELECT nextval('spool_entry_id_seq'), txid_current() FROM generate_series(1, %s)", (count,))
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
    ).fetchall()
    return dict(removed)


def add_recipients(entry_id: int, number: int) -> None:
    """Count `number` more recipients of an entry."""
    execute("UPDATE spool_entry SET recipients_total = recipients_total + %s WHERE id = %s", [number, entry_id])
