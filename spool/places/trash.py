"""Entries that were taken out of the spool and can be put back: deleted ones, and those moved to a folder.

Taking is one transaction: the rows of entry and recipients go to the trash's tables. The file of a deleted entry stays
where it is until the trash is emptied, so that deleting and restoring are a matter of rows alone; that of a moved one
is in its folder. The outcome of the recipients is "removed" as long as the rows are in the trash; when they leave it
for good, it is written into the trace.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from spool.events.actions import MOST_LINES, by_itself
from spool.files import incoming, marks, removal, store
from spool.message.envelope import DeliveryReport
from spool.message.summary import storable
from spool.models.recipient import Outcome
from spool.models.trashed import Trashed, TrashState
from spool.places import contents
from spool.rows import statements, trashed
from spool.rows.columns import columns_of
from spool.rows.journal import LONGEST_REPLY, insert_traces, trace_rows, trace_trashed

CHUNK = 500
_PAST_UNDOING = "its deletion can't be undone any more"


@dataclass(frozen=True, slots=True)
class Taken:
    """An entry of the trash, with what is needed to find its file."""

    id: int
    file_name: str
    subspool: str
    size_bytes: int
    state: str
    target: str
    event_id: int
    fingerprint: str = ""

    @property
    def in_spool(self) -> Path:
        return store.path_of(self.subspool, self.file_name)


class Moved(Protocol):
    """What was moved to the folder `target`, in the trash or in another room."""

    @property
    def file_name(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def target(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of entries that were to be restored: put back, without a file, or no longer there.

    `items` have an `id` and an `event_id`.
    """

    items: Sequence[Any]
    lost: int
    gone: int

    @property
    def ids(self) -> list[int]:
        return [item.id for item in self.items]


def take(
    ids: Sequence[int], event_id: int, now: datetime, reply: str, state: TrashState, target: str = ""
) -> list[int]:
    """Move the rows of entries, which the caller has claimed, to the trash, in the caller's transaction; their ids.

    `reply` is what the trace says of the recipients that were still open. Raises OSError when one has no file yet and
    none can be made.
    """
    if not ids:
        return []
    statements.prefer_indexes()
    contents.bring_out(ids)
    return trashed.take(ids, event_id, now, reply, state, target)


def restore(ids: Sequence[int], now: datetime, note: Callable[[Restored], None] | None = None) -> Restored:
    """Put entries back into the spool as they were. `note` is called in the transaction, and ends it by raising."""
    with statements.write_transaction():
        statements.prefer_indexes()
        rows = _rows(ids)
        if any(item.state != TrashState.TRASHED for item in rows):
            # Their files are on the way to a folder or back.
            rows = locked(ids)
        there = [item for item in rows if _has_file(item)]
        # A rollback from here on leaves files in the spool which the rows in the trash still know.
        for folder in {item.in_spool.parent for item in there if item.state == TrashState.MOVED}:
            store.sync_folder(folder)
        put = trashed.put_back([item.id for item in there], now) if there else set()
        lost, there = len(rows) - len(there), [item for item in there if item.id in put]
        restored = Restored(there, lost, len(ids) - len(there) - lost)
        if note is not None:
            note(restored)
    for item in there:
        if item.state == TrashState.MOVED:
            forget_moved(item)
    return restored


def files_of(ids: Sequence[int]) -> list[tuple[int, Path]]:
    """Where the spool has the files of entries of the trash."""
    return [(item.id, item.in_spool) for item in _rows(ids)]


def locked(ids: Sequence[int]) -> list[Taken]:
    """Those of `ids` that are still in the trash, theirs until the caller's transaction ends."""
    return _rows(ids, lock=True)


def _rows(ids: Sequence[int], *, lock: bool = False) -> list[Taken]:
    return [Taken(*row) for row in trashed.select(columns_of(Taken), ids, lock=lock)] if ids else []


def note_delivered(report: DeliveryReport, now: datetime) -> None:
    """Recipients who had the message after all, when its worker answers late: Undo must not send it to them again.

    Call it in a transaction.
    """
    delivered = {r.recipient.id: r for r in report.results if r.outcome is Outcome.DELIVERED}
    if not delivered:
        return
    # Not by the entry: a recipient may have been taken out of it alone (spool.actions.split_recipient).
    if not locked(trashed.entries_waiting_for(list(delivered))):
        return
    settled = [
        result
        for number, result in delivered.items()
        if trashed.settle(number, storable(result.reply, LONGEST_REPLY), storable(result.host, 255))
    ]
    if settled:
        insert_traces(trace_rows(report.entry, settled, now), now)


def purge(now: datetime, days: int) -> int:
    """Remove for good what was deleted more than `days` ago; how many messages. Moved files stay where they are."""
    old = Trashed.objects.filter(at__lt=now - timedelta(days=days)).exclude(state=TrashState.MOVING)
    purged = 0
    while ids := list(old.order_by("at").values_list("id", flat=True)[:CHUNK]):
        removed = forget(ids)
        by_itself("removed", [item.file_name for item in removed[: max(0, MOST_LINES - purged)]], _PAST_UNDOING)
        purged += len(removed)
    return purged


def forget(ids: Sequence[int], note: Callable[[Sequence[Taken]], None] | None = None) -> list[Taken]:
    """Take entries out of the trash for good: rows first, with a trace of the open recipients, then files.

    `note` is called in the transaction, and ends it by raising.
    """
    with statements.write_transaction():
        statements.prefer_indexes()
        removed = locked(ids)
        if removed:
            trace_trashed([item.id for item in removed])
            trashed.remove([item.id for item in removed])
        if note is not None:
            note(removed)
    for item in removed:
        if item.state == TrashState.TRASHED:
            removal.remove(item.in_spool)
    return removed


def _has_file(item: Taken) -> bool:
    """Have the file at its place in the spool; False when it is nowhere."""
    path = item.in_spool
    if os.path.exists(path):
        return True
    if item.state != TrashState.MOVED:
        return False
    marks.require(marks.SPOOL)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    source = from_folder(item)
    return source is not None and link_or_copy(source, path)


def link_or_copy(source: Path, target: Path) -> bool:
    """Have the file under `target` too, durable; False when there is no `source`."""
    try:
        os.link(source, target, follow_symlinks=False)
        return True
    except FileExistsError:
        return True
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP):
            raise
    incoming.prepare()
    temporary = incoming.path_for(target.name)
    shutil.copyfile(source, temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.rename(target)
    return True


def rename(source: Path, target: Path) -> bool:
    """Rename, across file systems if need be; False when there is no such file."""
    try:
        os.rename(source, target)
        return True
    except FileNotFoundError:
        return target.exists()
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    done = link_or_copy(source, target)
    store.sync_folder(target.parent)
    store.unlink(source)
    return done


def from_folder(item: Moved) -> Path | None:
    """The copy in the folder that `item` was moved to; None when it is gone, or has been changed there."""
    source = Path(item.target) / item.file_name
    try:
        if source.is_symlink() or source.stat().st_size != item.size_bytes:
            return None
        # What was moved by an earlier version has none.
        return source if not item.fingerprint or fingerprint_of(source) == item.fingerprint else None
    except OSError:
        return None


def fingerprint_of(path: Path) -> str:
    """What tells a file's bytes from any others. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).hexdigest()


def fingerprints_of(paths: Iterable[tuple[int, Path]]) -> dict[int, str]:
    """Those of the files that are there, by the numbers that come with them."""
    found = {}
    for number, path in paths:
        try:
            found[number] = fingerprint_of(path)
        except OSError:
            # Whoever moves it says so.
            continue
    return found


def forget_moved(item: Moved) -> None:
    """The copy in the folder goes, for the message is back where it was."""
    for name in (item.file_name, f"{item.file_name.removesuffix(store.SUFFIX)}.json"):
        store.unlink(Path(item.target) / name)
