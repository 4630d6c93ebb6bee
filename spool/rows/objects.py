"""Which objects in the bucket are of which messages (models.content.StoredObject says what a row means).

A row goes through three states: announced (of no message yet), kept (of one), doomed (of none any more). An object is
removed only when it is doomed and that is committed, and a doomed one can't become a message's. So whoever dooms one
need not know whether a transaction is still open that makes it a message's: the row decides which of them was first.

Everything here but what only reads runs in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import DataError

from spool.rows.statements import db_time, execute, id_list


def announce(key: str, size_bytes: int, now: datetime) -> None:
    """An object is about to be put."""
    execute(
        "INSERT INTO spool_storedobject (key, entry_id, size_bytes, at, is_doomed) VALUES (%s, NULL, %s, %s, %s)",
        (key, size_bytes, db_time(now), False),
    )


def keep(key: str, entry_id: int) -> None:
    """Have an announced object for the content of a new entry.

    Raises DataError when it is doomed: whoever put it took too long. That is no fault of other messages.
    """
    kept = execute(
        "UPDATE spool_storedobject SET entry_id = %s WHERE key = %s AND entry_id IS NULL AND NOT is_doomed",
        (entry_id, key),
    )
    if kept.rowcount != 1:
        raise DataError(f"the object {key} was given up before its message was committed")


def share(entry_id: int, new_id: int) -> None:
    """Have the object of an entry, if it has one, for a new entry too."""
    execute(
        "INSERT INTO spool_storedobject (key, entry_id, size_bytes, at, is_doomed)"
        " SELECT key, %s, size_bytes, at, is_doomed FROM spool_storedobject WHERE entry_id = %s",
        (new_id, entry_id),
    )


def of(entry_id: int) -> tuple[str, int] | None:
    """Key and size in bytes of an entry's object."""
    found = execute("SELECT key, size_bytes FROM spool_storedobject WHERE entry_id = %s", (entry_id,)).fetchone()
    return (str(found[0]), int(found[1])) if found is not None else None


def release(entry_ids: Sequence[int], now: datetime) -> None:
    """The entries have ended, or have their content elsewhere: their objects are doomed."""
    clause, parameters = id_list(entry_ids)
    execute(
        f"UPDATE spool_storedobject SET entry_id = NULL, is_doomed = %s, at = %s WHERE entry_id {clause}",
        [True, db_time(now), *parameters],
    )


def doom_announced(before: datetime) -> int:
    """Give up what was announced before that moment and never became a message's; how many."""
    return int(
        execute(
            "UPDATE spool_storedobject SET is_doomed = %s WHERE entry_id IS NULL AND NOT is_doomed AND at < %s",
            (True, db_time(before)),
        ).rowcount
    )


def doom_ended(now: datetime) -> int:
    """Give up those whose messages have no content any more; how many. They become theirs in the same transaction."""
    return int(
        execute(
            "UPDATE spool_storedobject SET is_doomed = %s, entry_id = NULL, at = %s WHERE entry_id IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM spool_content c WHERE c.entry_id = spool_storedobject.entry_id)",
            (True, db_time(now)),
        ).rowcount
    )


def doomed(limit: int) -> list[tuple[int, str, bool]]:
    """(id, key, whether no other message has it) of doomed ones."""
    found = execute(
        "SELECT o.id, o.key, NOT EXISTS (SELECT 1 FROM spool_storedobject k WHERE k.key = o.key AND NOT k.is_doomed)"
        " FROM spool_storedobject o WHERE o.entry_id IS NULL AND o.is_doomed ORDER BY o.at LIMIT %s",
        (limit,),
    )
    return [(int(number), str(key), bool(alone)) for number, key, alone in found.fetchall()]


def remove(ids: Sequence[int]) -> None:
    """Their objects are gone."""
    clause, parameters = id_list(ids)
    execute(f"DELETE FROM spool_storedobject WHERE id {clause}", parameters)


def kept(behind: int, limit: int) -> list[tuple[int, str, int]]:
    """(entry's id, key, size in bytes) of objects of messages with higher ids than `behind`, in order."""
    found = execute(
        "SELECT entry_id, key, size_bytes FROM spool_storedobject WHERE entry_id > %s ORDER BY entry_id LIMIT %s",
        (behind, limit),
    )
    return [(int(entry_id), str(key), int(size)) for entry_id, key, size in found.fetchall()]


def known(keys: Sequence[str]) -> set[str]:
    """Those of `keys` that have a row."""
    marks = ", ".join("%s" for _ in keys)
    found = execute(f"SELECT key FROM spool_storedobject WHERE key IN ({marks})", list(keys)) if keys else None
    return {str(key) for (key,) in found.fetchall()} if found is not None else set()
