"""Some recipients of an entry become an entry of their own: what becomes of them does not concern the others.

First the new entry's file, durable, by `twin`; then in one transaction the rows, by `split`. A crash between leaves a
file without a row, which the doctor finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spool import statements, store
from spool.envelope import LeasedEntry
from spool.models.entry import Direction, Entry
from spool.models.recipient import Kind


def twin(entry: LeasedEntry) -> Path:
    """A second file with the bytes of the entry, beside it. Raises OSError."""
    path = store.path_of(entry.subspool, store.new_file_names(1)[0])
    store.duplicate(entry.path, path)
    return path


def split(owner: str, entry_id: int, recipient_ids: Sequence[int], file_name: str) -> int:
    """Give those recipients, as far as they are open, an entry of their own, which `owner` holds as well; its id.

    Call it in a transaction, on an entry that is the owner's. `file_name` is of a `twin`.
    """
    [new_id], _ = statements.next_entry_ids(1)
    clause, parameters = statements.id_list(recipient_ids)
    statements.execute(
        f"INSERT INTO spool_entry ({', '.join(_COLUMNS)}) SELECT {', '.join(_EXPRESSIONS)} FROM spool_entry"  # noqa: S608
        " WHERE id = %s AND leased_by = %s",
        [new_id, file_name, entry_id, owner],
    )
    moved = statements.execute(
        f"UPDATE spool_recipient SET entry_id = %s WHERE entry_id = %s AND id {clause} AND status = 'pending'",  # noqa: S608
        [new_id, entry_id, *parameters],
    ).rowcount
    statements.execute(
        "UPDATE spool_entry SET recipients_total = recipients_total - %s WHERE id = %s", [moved, entry_id]
    )
    statements.execute("UPDATE spool_entry SET recipients_total = %s WHERE id = %s", [moved, new_id])
    remote = "EXISTS (SELECT 1 FROM spool_recipient r WHERE r.entry_id = spool_entry.id AND r.kind = %s)"
    statements.execute(
        f"UPDATE spool_entry SET direction = CASE WHEN {remote} THEN %s ELSE %s END WHERE id IN (%s, %s)",  # noqa: S608
        [Kind.REMOTE.value, int(Direction.OUTBOUND), int(Direction.INBOUND), entry_id, new_id],
    )
    return int(new_id)


_CHANGED = {"id": "%s", "file_name": "%s", "recipients_done": "0"}
_COLUMNS = [str(field.column) for field in Entry._meta.concrete_fields]
_EXPRESSIONS = [_CHANGED.get(name, name) for name in _COLUMNS]
assert _COLUMNS[:2] == ["id", "file_name"]
