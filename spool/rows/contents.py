"""The content of messages that have no file, by the ids of their entries: in one row, in parts of rows, or in an object
in the bucket, of which the rows know the key (spool.rows.objects).

Everything here but what only reads runs in the caller's transaction. A message keeps its id, and so its content, while
it is in the trash or in a quarantine.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection
from django.utils import timezone

from spool.files import bucket
from spool.models.content import IN_DATABASE
from spool.rows import objects, statements
from spool.rows.statements import db_time, execute, id_list, on_sqlite

# Of a message that is too large for one row.
PART_BYTES: Final = 512 * 1024
_COPY: Final = "COPY spool_content (entry_id, content) FROM STDIN (FORMAT BINARY)"


def insert(rows: Sequence[tuple[int, bytes]]) -> None:
    """Insert (entry's id, whole message) of each."""
    if on_sqlite() or statements.in_few_trips():
        statements.insert("spool_content", ("entry_id", "content"), rows)
        return
    # As text each byte would be two digits.
    with connection.wrap_database_errors, statements.cursor().copy(_COPY) as copy:
        copy.set_types(["int8", "bytea"])
        for row in rows:
            copy.write_row(row)


def insert_in_parts(entry_id: int, pieces: Iterable[bytes]) -> int:
    """Insert a message piece by piece, each of PART_BYTES at most; its size in bytes. Raises what `pieces` raises."""
    count, size = _insert_parts(entry_id, pieces)
    execute("INSERT INTO spool_content (entry_id, content, parts) VALUES (%s, %s, %s)", (entry_id, b"", count))
    return size


def _insert_parts(entry_id: int, pieces: Iterable[bytes]) -> tuple[int, int]:
    """How many, and their size in bytes."""
    count = size = 0
    for piece in pieces:
        execute("INSERT INTO spool_contentpart (entry_id, part, content) VALUES (%s, %s, %s)", (entry_id, count, piece))
        count, size = count + 1, size + len(piece)
    return count, size


def insert_object(entry_id: int, key: str, size_bytes: int) -> None:
    """Have an object that was announced, and is in the bucket, for the content of a new entry.

    It counts as so many parts, none of which is in a row. Raises DataError when the object was given up.
    """
    objects.keep(key, entry_id)
    execute(
        "INSERT INTO spool_content (entry_id, content, parts) VALUES (%s, %s, %s)",
        (entry_id, b"", max(1, -(-size_bytes // PART_BYTES))),
    )


def bring_home(entry_id: int, pieces: Iterable[bytes]) -> bool:
    """Have the content of an entry in parts of rows that is in an object; False when it has ended. Raises what `pieces`
    raises.

    Who ends it meanwhile waits, and then removes those parts.
    """
    locked = "" if on_sqlite() else " FOR UPDATE"
    if execute(f"SELECT 1 FROM spool_content WHERE entry_id = %s{locked}", (entry_id,)).fetchone() is None:
        return False
    count, _ = _insert_parts(
        entry_id, (piece[n : n + PART_BYTES] for piece in pieces for n in range(0, len(piece), PART_BYTES))
    )
    execute("UPDATE spool_content SET parts = %s WHERE entry_id = %s", (count, entry_id))
    objects.release([entry_id], timezone.now())
    return True


def copy(entry_id: int, new_id: int) -> None:
    """Give a new entry the content of another."""
    execute(
        "INSERT INTO spool_content (entry_id, content, parts)"
        " SELECT %s, content, parts FROM spool_content WHERE entry_id = %s",
        (new_id, entry_id),
    )
    execute(
        "INSERT INTO spool_contentpart (entry_id, part, content)"
        " SELECT %s, part, content FROM spool_contentpart WHERE entry_id = %s",
        (new_id, entry_id),
    )
    objects.share(entry_id, new_id)


@dataclass(frozen=True, slots=True)
class InRows:
    """What a look for the content of entries has brought: of some the `whole`, of others how many `parts` they have."""

    whole: dict[int, bytes]
    parts: dict[int, int]


def look(entry_ids: Sequence[int]) -> InRows:
    """Those of the entries whose content is in rows."""
    if not entry_ids:
        return InRows({}, {})
    clause, parameters = id_list(entry_ids)
    found = execute(
        f"SELECT entry_id, content, parts FROM spool_content WHERE entry_id {clause}",
        parameters,
        binary=True,
        kept=True,
    ).fetchall()
    whole = {entry_id: content for entry_id, content, parts in found if parts is None}
    return InRows(whole, {entry_id: parts for entry_id, _, parts in found if parts is not None})


def pieces(entry_id: int, parts: int) -> Iterator[bytes]:
    """The message of an entry that has it in so many parts, one after the other; one is in memory at a time.

    Raises FileNotFoundError when it has ended meanwhile, OSError while the bucket is away, and django.db.Error.
    """
    for part in range(parts):
        row = execute(
            "SELECT content FROM spool_contentpart WHERE entry_id = %s AND part = %s", (entry_id, part), binary=True
        ).fetchone()
        if row is None and not part and (there := objects.of(entry_id)) is not None:
            yield from bucket.pieces(*there)
            return
        if row is None:
            raise FileNotFoundError(errno.ENOENT, "the message has left the database", f"{IN_DATABASE}/{entry_id}")
        yield row[0]


def there(entry_ids: Sequence[int]) -> set[int]:
    """Those of the entries whose content is in rows."""
    if not entry_ids:
        return set()
    clause, parameters = id_list(entry_ids)
    found = execute(f"SELECT entry_id FROM spool_content WHERE entry_id {clause}", parameters)
    return {entry_id for (entry_id,) in found.fetchall()}


def remove(entry_ids: Sequence[int]) -> set[int]:
    """Delete the content of entries that have ended, or whose files are durable; the ids of those that had any."""
    if not entry_ids:
        return set()
    clause, parameters = id_list(entry_ids)
    gone = execute(
        f"DELETE FROM spool_content WHERE entry_id {clause} RETURNING entry_id, parts", parameters, kept=True
    ).fetchall()
    if in_parts := [entry_id for entry_id, parts in gone if parts is not None]:
        clause, parameters = id_list(in_parts)
        execute(f"DELETE FROM spool_contentpart WHERE entry_id {clause}", parameters)
        objects.release(in_parts, timezone.now())
    return {entry_id for entry_id, _ in gone}


def places(entry_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Those of the entries whose content is in rows for now: the subspool and the name that its file will have."""
    if not entry_ids:
        return {}
    clause, parameters = id_list(entry_ids)
    found = execute(
        "SELECT e.id, e.subspool, e.file_name FROM spool_content c JOIN spool_entry e ON e.id = c.entry_id"
        f" WHERE c.entry_id {clause} AND e.subspool <> %s",
        [*parameters, IN_DATABASE],
    )
    return {entry_id: (subspool, file_name) for entry_id, subspool, file_name in found.fetchall()}


def resting(now: datetime, came_before: datetime, limit: int) -> list[int]:
    """Entries whose content is in rows for now, that nobody works on, and that are not due, or came in before that
    moment."""
    found = execute(
        "SELECT e.id FROM spool_content c JOIN spool_entry e ON e.id = c.entry_id"
        f" WHERE e.leased_by = '' AND e.subspool <> '{IN_DATABASE}'"
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


def strays(behind: int, limit: int) -> list[int]:
    """Content of no entry, neither of the spool nor of the trash, with higher ids than `behind`, in order."""
    found = execute(
        "SELECT c.entry_id FROM spool_content c WHERE c.entry_id > %s"
        " AND NOT EXISTS (SELECT 1 FROM spool_entry e WHERE e.id = c.entry_id)"
        " AND NOT EXISTS (SELECT 1 FROM spool_trashed t WHERE t.id = c.entry_id) ORDER BY c.entry_id LIMIT %s",
        (behind, limit),
    )
    return [entry_id for (entry_id,) in found.fetchall()]
