"""Where the bytes of a message are: in rows, as long as it is on its way, or in its file, once it has come to rest.

A message is read from its rows where it has any, and from its file otherwise. The rows go in a transaction before which
the file was made durable, or in the one that ends the message: so there is always one of both, and where a crash leaves
both, they are the same. The file stands where the entry has said from the beginning (subspool and name).

With MAILSPOOL_STORE=database what comes in never gets a file: its subspool is IN_DATABASE, and its rows stay until the
message ends, also while it is in the trash or in a quarantine. It is the message's own place that counts, not what the
setting is by now.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol

from django.conf import settings
from django.db import Error as DatabaseError

from spool.files import store, working
from spool.message.envelope import LeasedEntry
from spool.message.held import Held, Source, Streamed
from spool.models.content import IN_DATABASE
from spool.rows import contents, entries, placement, statements
from spool.rows.placement import Keeper

log = logging.getLogger(__name__)

# Messages that nobody has taken up for so long have come to rest.
LONGEST_IN_ROWS: Final = timedelta(seconds=60)
# So many are read into memory together.
_CHUNK: Final = 100
# How long nothing is looked for, in a table that may have a million rows, after nothing was found.
_REST_SECONDS: Final = 600.0
_rests_until = float("-inf")
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

    @property
    def size_bytes(self) -> int: ...


def in_database() -> bool:
    """Whether what comes in from now on has its place in the database."""
    return bool(settings.MAILSPOOL_STORE == IN_DATABASE)


def source_of(entry: Placed) -> Source:
    """Where to read a message from. Raises django.db.Error."""
    [source] = sources_of([entry])
    return source


def sources_of(placed: Sequence[Placed]) -> Iterator[Source]:
    """The same for many, in their order; not all of them are in memory at once. Raises django.db.Error."""
    for start in range(0, len(placed), _CHUNK):
        some = placed[start : start + _CHUNK]
        in_rows = contents.look([entry.id for entry in some])
        for entry in some:
            source = source_in(in_rows, entry.id, entry.file_name, entry.size_bytes)
            yield source or store.path_of(entry.subspool, entry.file_name)


def source_in(in_rows: contents.InRows, entry_id: int, file_name: str, size_bytes: int) -> Source | None:
    """The message in what a look has brought, which gives it away; None when it is not there."""
    if entry_id in in_rows.whole:
        return Held(in_rows.whole.pop(entry_id))
    if entry_id in in_rows.parts:
        pieces = partial(contents.pieces, entry_id, in_rows.parts[entry_id])
        return Streamed(file_name, size_bytes, pieces, working.folder)
    return None


def copy_to(entry: LeasedEntry, copies: working.Copies) -> None:
    """Have a message whose content is in rows under a path too, for those who can't ask the database.

    Raises FileNotFoundError when it has ended, OSError and django.db.Error.
    """
    if entry.streamed is not None:
        try:
            entry.path = copies.keep(entry.file_name, entry.streamed.pieces())
        except FileNotFoundError:
            entry.streamed = None
            raise
    elif entry.content is not None:
        entry.path = copies.keep(entry.file_name, [entry.content])
    entry.content, entry.streamed, entry.is_copied = None, None, True


def write_files(leased: Sequence[LeasedEntry]) -> list[int]:
    """Make the files of those entries durable that have none; their ids, for `contents.remove` in the transaction in
    which they come to rest. Raises OSError, and they can stay as they are.

    For who holds them: nobody else ends or moves them meanwhile.
    """
    if in_database():
        return []
    in_rows = [(one, one.content) for one in leased if one.content is not None and one.subspool != IN_DATABASE]
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
    """Have the files of all of them durable, and nothing of them in rows, as soon as the caller's transaction ends; or
    have the database for their place, if it is for all.

    It holds their rows, or their leases. Raises OSError and django.db.Error.
    """
    for start in range(0, len(entry_ids), _CHUNK):
        places = contents.places(entry_ids[start : start + _CHUNK])
        if not places:
            continue
        if in_database():
            placement.set_place(Keeper.SPOOL, list(places), IN_DATABASE)
            continue
        some = contents.look(list(places)).whole
        store.write_all([(*places[number], content) for number, content in some.items()])
        contents.remove(list(some))


def bring_out_resting(now: datetime) -> int:
    """Have the files of messages that came to rest without one: put on hold, or left alone by everybody; how many.

    While the database is the place for all, it is for them too; they came in before, and are looked for seldom.
    """
    global _rests_until
    if in_database() and time.monotonic() < _rests_until:
        return 0
    count = 0
    while ids := contents.resting(now, now - LONGEST_IN_ROWS, _AT_ONCE):
        with statements.write_transaction():
            free = entries.lock_free(ids, lapsed=None)
            bring_out(free)
        count += len(free)
        if len(free) < len(ids) or len(ids) < _AT_ONCE:
            break
    if not count:
        _rests_until = time.monotonic() + _REST_SECONDS
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
