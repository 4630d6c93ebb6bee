"""After MAILSPOOL_STORE was changed: messages that are kept go to the new place, a few at a time, while mail flows.

A message is read where it is at any moment: its content is in the new place before its row says so, and leaves the old
one after that is committed. Files are brought in or made by the home that has them (spool.files.claim).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spool.files import claim, incoming, removal, store
from spool.files.store import PendingFile
from spool.holders import holders
from spool.models.content import IN_DATABASE
from spool.models.settings import current
from spool.places import contents, undecided
from spool.rows import contents as content_rows
from spool.rows import placement, statements
from spool.rows.placement import Keeper

log = logging.getLogger(__name__)

# So many are moved in one transaction.
CHUNK: Final = 50
# What is read into memory together, in bytes; larger messages are read in pieces.
_WHOLE_BYTES: Final = 64 * 1024
# A step of the sweep ends after that.
_STEP_SECONDS: Final = 2.0
# How long nothing is looked for after nothing was found: with a million messages the look takes a moment.
_REST_SECONDS: Final = 600.0
_rests_until = float("-inf")


@dataclass(frozen=True, slots=True)
class Message:
    """One that is to be moved; `entry_id` is that of its content. `path` is its file, if it has one."""

    entry_id: int
    file_name: str
    size_bytes: int
    path: Path


def step() -> int:
    """Move what is not where the setting says, for a moment; how many. Raises OSError and django.db.Error."""
    global _rests_until
    if statements.on_sqlite() or time.monotonic() < _rests_until or not is_due():
        return 0
    began, count = time.monotonic(), 0
    for moved in chunks():
        count += moved
        if time.monotonic() - began > _STEP_SECONDS:
            return count
    _rests_until = time.monotonic() + _REST_SECONDS
    return count


def is_due() -> bool:
    """Whether this home has to do with it: it has the files, and something may be in the wrong place."""
    return claim.has_files() and (contents.in_database() or placement.any_for_good())


def chunks() -> Iterator[int]:
    """Move everything, chunk by chunk; how many each time. What somebody works on is left for the next time."""
    to_database = contents.in_database()
    for keeper in Keeper:
        last = 0
        while rows := placement.kept(keeper, in_database=not to_database, behind=last, limit=CHUNK):
            last = rows[-1][0]
            found = [Message(number, name, size, store.path_of(place, name)) for number, place, name, size in rows]
            yield _to_database(keeper, found) if to_database else _to_files(keeper, found)
    for holder in holders():
        yield from holder.relocate(to_database=to_database)


def _to_database(keeper: Keeper, found: Sequence[Message]) -> int:
    with statements.write_transaction():
        free = placement.lock(keeper, [message.entry_id for message in found])
        carried = carry_in([message for message in found if message.entry_id in free])
        if carried:
            placement.set_place(keeper, [message.entry_id for message in carried], IN_DATABASE)
    remove_files(message.path for message in carried)
    return len(carried)


def _to_files(keeper: Keeper, found: Sequence[Message]) -> int:
    with carrying_out() as out, statements.write_transaction():
        free = placement.lock(keeper, [message.entry_id for message in found])
        subspool, carried = out.write([message for message in found if message.entry_id in free])
        if carried:
            placement.set_place(keeper, [message.entry_id for message in carried], subspool)
            content_rows.remove([message.entry_id for message in carried])
    return len(carried)


def carry_in(messages: Sequence[Message]) -> list[Message]:
    """Insert the content of those whose file is there, in the caller's transaction; which they are.

    What is in rows already stays as it is. Raises OSError and django.db.Error.
    """
    there = content_rows.there([message.entry_id for message in messages])
    carried = [message for message in messages if message.entry_id in there]
    small: list[tuple[int, bytes]] = []
    for message in messages:
        if message.entry_id in there:
            continue
        try:
            with message.path.open("rb") as file:
                if message.size_bytes <= _WHOLE_BYTES:
                    small.append((message.entry_id, file.read()))
                else:
                    pieces = iter(lambda file=file: file.read(content_rows.PART_BYTES), b"")  # type: ignore[misc]
                    content_rows.insert_in_parts(message.entry_id, pieces)
        except FileNotFoundError:
            # The doctor says so.
            continue
        carried.append(message)
    if small:
        content_rows.insert(small)
    return carried


def remove_files(paths: Iterable[Path]) -> None:
    """After the commit: the files whose content is in the database."""
    remove = removal.remover()
    for path in paths:
        try:
            remove(path)
        except OSError as error:
            log.error("%s could not be removed: %s", path, error)


class _Out:
    """Files that are made of rows; they go if the transaction fails."""

    def __init__(self) -> None:
        self.made: list[Path] = []

    def write(self, messages: Sequence[Message]) -> tuple[str, list[Message]]:
        """Have a file of each message that is in rows, durable: the subspool, and which they are.

        Raises OSError and django.db.Error.
        """
        in_rows = content_rows.look([message.entry_id for message in messages])
        carried = [one for one in messages if one.entry_id in in_rows.whole or one.entry_id in in_rows.parts]
        if not carried:
            return "", []
        files = []
        incoming.prepare()
        for message in carried:
            spilled = None
            if parts := in_rows.parts.get(message.entry_id):
                spilled = store.new_incoming()
                self.made.append(spilled)
                with spilled.open("xb") as file:
                    file.writelines(content_rows.pieces(message.entry_id, parts))
            files.append(PendingFile(message.file_name, in_rows.whole.get(message.entry_id), spilled))
        writer = contents.writer()
        try:
            subspool, finish = writer.begin(files, current().subspool_size)
            self.made += [store.path_of(subspool, message.file_name) for message in carried]
            finish()
        finally:
            writer.close()
        return subspool, carried


@contextmanager
def carrying_out() -> Iterator[_Out]:
    """Within it, a transaction; what was made for one that fails is removed.

    Not where the commit's answer was lost: the rows may be gone, and then the file is all there is of the message. What
    no row names is left to the doctor, and the next attempt writes it again.
    """
    out = _Out()
    try:
        yield out
    except BaseException as error:
        if not undecided.lost_connection(error):
            for path in out.made:
                store.unlink(path)
        raise
