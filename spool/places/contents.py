"""Where the bytes of a message are: in a row, as long as it is on its way, or in its file, once it has come to rest.

A message is read from its row where it has one, and from its file otherwise. The row goes in a transaction before which
the file was made durable, or in the one that ends the message: so there is always one of both, and where a crash leaves
both, they are the same. The file stands where the entry has said from the beginning (subspool and name).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from django.db import Error as DatabaseError

from spool.files import store
from spool.message.envelope import LeasedEntry
from spool.message.held import Held, Source
from spool.rows import contents, entries, statements

log = logging.getLogger(__name__)

# Messages that nobody has taken up for so long have come to rest.
LONGEST_IN_ROWS: Final = timedelta(seconds=60)
# So many are read into memory together.
_CHUNK: Final = 100
# On SQLite all wait while so many files are written.
_AT_ONCE: Final = 20


class Placed(Protocol):
    """An entry, as far as its content is looked for."""

    @property
    def id(self) -> int: ...

    @property
    def subspool(self) -> str: ...

    @property
    def file_name(self) -> str: ...


def source_of(entry: Placed) -> Source:
    """Where to read a message from. Raises django.db.Error."""
    [source] = sources_of([entry])
    return source


def sources_of(placed: Sequence[Placed]) -> Iterator[Source]:
    """The same for many, in their order; not all of them are in memory at once. Raises django.db.Error."""
    for start in range(0, len(placed), _CHUNK):
        some = placed[start : start + _CHUNK]
        in_rows = contents.of([entry.id for entry in some])
        for entry in some:
            content = in_rows.pop(entry.id, None)
            yield store.path_of(entry.subspool, entry.file_name) if content is None else Held(content)


def write_files(leased: Sequence[LeasedEntry]) -> list[int]:
    """Make the files of those entries durable that have none; their ids, for `contents.remove` in the transaction in
    which they come to rest. Raises OSError, and they can stay as they are.

    For who holds them: nobody else ends or moves them meanwhile.
    """
    in_rows = [(entry, entry.content) for entry in leased if entry.content is not None]
    if in_rows:
        store.write_all([(entry.subspool, entry.file_name, content) for entry, content in in_rows])
    return [entry.id for entry, _ in in_rows]


def write_files_if_possible(leased: Sequence[LeasedEntry]) -> list[int]:
    """The same, without those that the disk does not take now: they stay in rows, and get their files later."""
    try:
        return write_files(leased)
    except OSError as error:
        log.error("the files of %d messages could not be written yet: %s", len(leased), error)
        return []


def bring_out(entry_ids: Sequence[int]) -> None:
    """Have the files of all of them durable, and nothing of them in rows, as soon as the caller's transaction ends.

    It holds their rows, or their leases. Raises OSError and django.db.Error.
    """
    for start in range(0, len(entry_ids), _CHUNK):
        some = contents.of(entry_ids[start : start + _CHUNK])
        if some:
            places = contents.places(list(some))
            store.write_all([(*places[number], content) for number, content in some.items() if number in places])
            contents.remove(list(places))


def bring_out_resting(now: datetime) -> int:
    """Have the files of messages that came to rest without one: put on hold, or left alone by everybody; how many."""
    count = 0
    while ids := contents.resting(now, now - LONGEST_IN_ROWS, _AT_ONCE):
        with statements.write_transaction():
            free = entries.lock_free(ids, lapsed=None)
            bring_out(free)
        count += len(free)
        if len(free) < len(ids) or len(ids) < _AT_ONCE:
            break
    return count


def writer() -> store.Writer:
    """One that counts what may still come to rest in a subspool among its files."""
    return store.Writer(_awaited)


def _awaited(subspool: str) -> int:
    try:
        return contents.count_in(subspool)
    except DatabaseError as error:
        # A folder that becomes a little larger is no reason to refuse mail; the next question says what is wrong.
        log.warning("the messages without a file in %s can't be counted: %s", subspool, error)
        return 0
