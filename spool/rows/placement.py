"""Which messages of the spool and of the trash have their place in files, and which in the database.

Everything here but what only reads runs in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from spool.models.content import IN_DATABASE
from spool.models.trashed import TrashState
from spool.rows.columns import Row
from spool.rows.statements import execute, id_list, on_sqlite


class Keeper(Enum):
    """A table of messages, and which of its rows nobody works on."""

    SPOOL = ("spool_entry", "leased_by = ''")
    TRASH = ("spool_trashed", f"state = '{TrashState.TRASHED.value}'")


def kept(keeper: Keeper, *, in_database: bool, behind: int, limit: int) -> list[Row]:
    """(id, subspool, file name, bytes) of messages that are there, with higher ids than `behind`, in order."""
    table, free = keeper.value
    found = execute(
        f"SELECT id, subspool, file_name, size_bytes FROM {table} WHERE id > %s AND {free}"
        f" AND subspool {'=' if in_database else '<>'} %s ORDER BY id LIMIT %s",
        (behind, IN_DATABASE, limit),
    )
    return list(found.fetchall())


def lock(keeper: Keeper, ids: Sequence[int]) -> set[int]:
    """Those of the messages that are still there and free, until the transaction ends."""
    table, free = keeper.value
    clause, parameters = id_list(ids)
    locked = "" if on_sqlite() else " FOR UPDATE SKIP LOCKED"
    found = execute(f"SELECT id FROM {table} WHERE id {clause} AND {free} ORDER BY id{locked}", parameters)
    return {number for (number,) in found.fetchall()}


def set_place(keeper: Keeper, ids: Sequence[int], subspool: str) -> None:
    """Say where the content of messages is."""
    clause, parameters = id_list(ids)
    execute(f"UPDATE {keeper.value[0]} SET subspool = %s WHERE id {clause}", [subspool, *parameters])


def any_for_good() -> bool:
    """Whether the database has the content of any message for good: one of the spool that came in with such a place, or
    any of the trash and of the quarantines. Quick where little content is in rows."""
    found = execute(
        "SELECT c.entry_id FROM spool_content c WHERE NOT EXISTS"
        " (SELECT 1 FROM spool_entry e WHERE e.id = c.entry_id AND e.subspool <> %s) LIMIT 1",
        (IN_DATABASE,),
    )
    return found.fetchone() is not None
