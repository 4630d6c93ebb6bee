"""Recipients: how they come into their table, what becomes of each, and how they leave it.

Everything here runs in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from spool.message.envelope import LeasedRecipient
from spool.models.recipient import Outcome
from spool.rows import statements
from spool.rows.columns import RecipientRow, Row, columns_of, inserted, values_of
from spool.rows.statements import execute, execute_many, id_list

# Makes a row for `insert`.
recipient_values = values_of(RecipientRow)
_COLUMNS: Final = inserted(RecipientRow)
_OPEN_COLUMNS: Final = ("entry_id", *columns_of(LeasedRecipient))
_OPEN: Final = ", ".join(_OPEN_COLUMNS)
_AGE: Final = itemgetter(_OPEN_COLUMNS.index("id"))


def insert(rows: Sequence[Row]) -> None:
    """Insert recipients, as `recipient_values` makes them."""
    statements.insert("spool_recipient", _COLUMNS, rows)


def open_rows(entry_ids: Sequence[int], *, trashed: bool = False) -> list[Row]:
    """The recipients that have no outcome yet, by age: the id of the entry, then the columns of LeasedRecipient.

    With `trashed`, those of entries that an administrator has taken out of the spool.
    """
    table = "spool_trashedrecipient" if trashed else "spool_recipient"
    clause, parameters = id_list(entry_ids)
    # Ordered here: for the database that would be a reason to go by the index of ids, through all that there are.
    found = execute(
        f"SELECT {_OPEN} FROM {table} WHERE entry_id {clause} AND status = 'pending'", parameters, kept=True
    )
    return sorted(found.fetchall(), key=_AGE)


class Named(NamedTuple):
    """By which addresses a recipient is known (spool.rows.keys)."""

    entry_id: int
    address: str
    domain: str
    address_key: str | None
    original_key: str | None


def named(entry_ids: Sequence[int]) -> list[Named]:
    """All recipients of entries."""
    clause, parameters = id_list(entry_ids)
    found = execute(
        f"SELECT {', '.join(Named._fields)} FROM spool_recipient WHERE entry_id {clause} ORDER BY id", parameters
    )
    return [Named(*row) for row in found.fetchall()]


def settled(entry_ids: Sequence[int]) -> set[int]:
    """The ids of the recipients of these entries that have an outcome."""
    clause, parameters = id_list(entry_ids)
    found = execute(f"SELECT id FROM spool_recipient WHERE entry_id {clause} AND status <> 'pending'", parameters)
    return {row[0] for row in found.fetchall()}


def remove(entry_ids: Sequence[int]) -> None:
    """Delete all recipients of entries that were removed."""
    clause, parameters = id_list(entry_ids)
    execute(f"DELETE FROM spool_recipient WHERE entry_id {clause}", parameters, kept=True)


def end(ids: Sequence[int], outcome: Outcome, reply: str) -> None:
    """Give recipients an outcome that no host has said."""
    clause, parameters = id_list(ids)
    execute(
        f"UPDATE spool_recipient SET status = %s, last_reply = %s WHERE id {clause}",
        [outcome.value, reply, *parameters],
    )


def open_of_mailbox(entry_ids: Sequence[int], key: str) -> list[tuple[int, int]]:
    """The open recipients that are the mailbox `key`, each with its entry first."""
    clause, parameters = id_list(entry_ids)
    rows = execute(
        f"SELECT entry_id, id FROM spool_recipient WHERE entry_id {clause} AND status = 'pending'"
        " AND (address = %s OR address_key = %s) ORDER BY id",
        [*parameters, key, key],
    )
    return list(rows.fetchall())


_SETTLE: Final = (
    "UPDATE spool_recipient SET status = %s, last_reply = %s, last_host = %s WHERE id = %s AND status = 'pending'"
)


def settle(recipient_id: int, outcome: Outcome, reply: str, host: str) -> bool:
    """Record what became of a recipient, unless it has an outcome; whether it had none."""
    return bool(execute(f"{_SETTLE} RETURNING id", (outcome.value, reply, host, recipient_id)).fetchall())


def settle_all(rows: Sequence[tuple[str, str, str, int]]) -> None:
    """The same for many: (outcome, reply, host, the recipient's id) of each."""
    execute_many(_SETTLE, rows)
