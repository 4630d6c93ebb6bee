"""The content of messages that have no file, by the ids of their entries.

Everything here but what only reads runs in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db import connection

from spool.rows import statements
from spool.rows.statements import db_time, execute, id_list, on_sqlite

_COPY: Final = "COPY spool_content (entry_id, content) FROM STDIN (FORMAT BINARY)"


def insert(rows: Sequence[tuple[int, bytes]]) -> None:
    """Insert (entry's id, whole message) of each."""
    if on_sqlite():
        statements.insert("spool_content", ("entry_id", "content"), rows)
        return
    # As text each byte would be two digits.
    with connection.wrap_database_errors, statements.cursor().copy(_COPY) as copy:
        copy.set_types(["int8", "bytea"])
        for row in rows:
            copy.write_row(row)


def of(entry_ids: Sequence[int]) -> dict[int, bytes]:
    """Those of the entries whose content is in rows, each with it."""
    if not entry_ids:
        return {}
    clause, parameters = id_list(entry_ids)
    found = execute(
        f"SELECT entry_id, content FROM spool_content WHERE entry_id {clause}", parameters, binary=True
    ).fetchall()
    return dict(found)


def remove(entry_ids: Sequence[int]) -> set[int]:
    """Delete the content of entries that have ended, or whose files are durable; the ids of those that had any."""
    if not entry_ids:
        return set()
    clause, parameters = id_list(entry_ids)
    gone = execute(f"DELETE FROM spool_content WHERE entry_id {clause} RETURNING entry_id", parameters)
    return {entry_id for (entry_id,) in gone.fetchall()}


def places(entry_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Those of the entries whose content is in rows: the subspool and the name that its file will have."""
    if not entry_ids:
        return {}
    clause, parameters = id_list(entry_ids)
    found = execute(
        "SELECT e.id, e.subspool, e.file_name FROM spool_content c JOIN spool_entry e ON e.id = c.entry_id"
        f" WHERE c.entry_id {clause}",
        parameters,
    )
    return {entry_id: (subspool, file_name) for entry_id, subspool, file_name in found.fetchall()}


def resting(now: datetime, came_before: datetime, limit: int) -> list[int]:
    """Entries whose content is in rows that nobody works on, and that are not due, or came in before that moment."""
    found = execute(
        "SELECT e.id FROM spool_content c JOIN spool_entry e ON e.id = c.entry_id WHERE e.leased_by = ''"
        " AND (e.due_at IS NULL OR (e.due_at > %s AND e.turn_at IS NULL) OR e.created < %s) ORDER BY e.id LIMIT %s",
        (db_time(now), db_time(came_before), limit),
    )
    return [entry_id for (entry_id,) in found.fetchall()]


def count_in(subspool: str) -> int:
    """How many messages without a file will have it in that subspool should they come to rest."""
    found = execute(
        "SELECT COUNT(*) FROM spool_content c JOIN spool_entry e ON e.id = c.entry_id WHERE e.subspool = %s",
        (subspool,),
    )
    return int(found.fetchone()[0])


def strays(limit: int) -> list[int]:
    """Content of no entry, neither of the spool nor of the trash."""
    found = execute(
        "SELECT c.entry_id FROM spool_content c WHERE NOT EXISTS (SELECT 1 FROM spool_entry e WHERE e.id = c.entry_id)"
        " AND NOT EXISTS (SELECT 1 FROM spool_trashed t WHERE t.id = c.entry_id) ORDER BY c.entry_id LIMIT %s",
        (limit,),
    )
    return [entry_id for (entry_id,) in found.fetchall()]
