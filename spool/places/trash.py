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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from spool.events.actions import MOST_LINES, by_itself
from spool.files import claim, incoming, marks, removal, store, working
from spool.message.envelope import DeliveryReport
from spool.message.held import Source
from spool.message.summary import storable
from spool.models.content import IN_DATABASE
from spool.models.recipient import Outcome
from spool.models.trashed import Trashed, TrashState
from spool.places import contents
from spool.rows import contents as content_rows
from spool.rows import statements, trashed
from spool.rows.columns import columns_of
from spool.rows.journal import LONGEST_REPLY, insert_traces, trace_rows, trace_trashed
from spool.rows.packing import Packed

CHUNK = 500
# So many are read into memory together.
_AT_ONCE = 100
_PAST_UNDOING = "its deletion can't be undone any more"


@dataclass(frozen=True, slots=True)
class TrashRow:
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
    def entry_id(self) -> int:
        return self.id

    @property
    def path(self) -> Path:
        """Where the spool has its file."""
        return store.path_of(self.subspool, self.file_name)

    @property
    def paths(self) -> Sequence[Path]:
        return [] if self.subspool == IN_DATABASE else [self.path]


class Kept(Protocol):
    """A message that was taken away, in the trash or in another app's bin; `target` is the folder it was moved to.

    Its file is at one of `paths`, first of all at `path`, unless `state` says that it was moved. Where its `subspool`
    is the database, it has none, and its content stays in rows under the id that it has in the spool.
    """

    @property
    def id(self) -> int: ...

    @property
    def entry_id(self) -> int: ...

    @property
    def subspool(self) -> str: ...

    @property
    def file_name(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def path(self) -> Path: ...

    @property
    def paths(self) -> Sequence[Path]: ...

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
        rows = find(ids)
        if any(item.state != TrashState.TRASHED for item in rows):
            # Their files are on the way to a folder or back.
            rows = find(ids, lock=True)
        in_rows = in_database(rows)
        there = [item for item in rows if item.id in in_rows or has_file(item, item.path, marks.SPOOL)]
        # A rollback from here on leaves files in the spool which the rows in the trash still know.
        for folder in {item.path.parent for item in there if item.state == TrashState.MOVED and item.paths}:
            store.sync_folder(folder)
        put = trashed.restore([item.id for item in there], now) if there else set()
        lost, there = len(rows) - len(there), [item for item in there if item.id in put]
        restored = Restored(there, lost, len(ids) - len(there) - lost)
        if note is not None:
            note(restored)
    for item in there:
        if item.state == TrashState.MOVED:
            remove_copy(item)
    return restored


def find(ids: Sequence[int], *, lock: bool = False) -> list[TrashRow]:
    """Those of `ids` that are still in the trash; with `lock`, theirs until the caller's transaction ends."""
    return [TrashRow(*row) for row in trashed.select(columns_of(TrashRow), ids, lock=lock)] if ids else []


@dataclass(slots=True)
class _Envelope:
    """A row of the trash as `Packed`."""

    file_name: str
    at: datetime
    entry: dict[str, Any]
    recipients: list[dict[str, Any]]


def packed(items: Sequence[TrashRow]) -> Iterator[tuple[Kept, Packed]]:
    """Rows of the trash, each with its envelope."""
    rows = Trashed.objects.filter(id__in=[item.id for item in items]).prefetch_related("recipients").in_bulk()
    for item in items:
        row = rows[item.id]
        recipients = sorted(row.recipients.all(), key=lambda recipient: recipient.pk)
        entry = {**vars(row), "created": row.created.isoformat()}
        yield item, _Envelope(row.file_name, row.at, entry, [vars(recipient) for recipient in recipients])


def note_delivered(report: DeliveryReport, now: datetime) -> None:
    """Recipients who had the message after all, when its worker answers late: Undo must not send it to them again.

    Call it in a transaction.
    """
    delivered = {r.recipient.id: r for r in report.results if r.outcome is Outcome.DELIVERED}
    if not delivered:
        return
    # Not by the entry: a recipient may have been taken out of it alone (spool.actions.split_recipient).
    if not find(trashed.entries_waiting_for(list(delivered)), lock=True):
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
        removed = remove(ids)
        by_itself("removed", [item.file_name for item in removed[: max(0, MOST_LINES - purged)]], _PAST_UNDOING)
        purged += len(removed)
    return purged


def remove(ids: Sequence[int], note: Callable[[Sequence[TrashRow]], None] | None = None) -> list[TrashRow]:
    """Take entries out of the trash for good: rows first, with a trace of the open recipients, then files.

    `note` is called in the transaction, and ends it by raising.
    """
    with statements.write_transaction():
        statements.prefer_indexes()
        removed = find(ids, lock=True)
        if removed:
            trace_trashed([item.id for item in removed])
            trashed.remove([item.id for item in removed])
            content_rows.remove([item.id for item in removed if item.subspool == IN_DATABASE])
        if note is not None:
            note(removed)
    for item in removed:
        if item.state == TrashState.TRASHED and item.paths:
            removal.remove(item.path)
    return removed


def source_of(item: Kept) -> Source:
    """Where to read it from, unless its file was moved. Raises django.db.Error."""
    return next(sources_of([item]))


def sources_of(items: Sequence[Kept]) -> Iterator[Source]:
    """The same for many, in their order; not all of them are in memory at once. Raises django.db.Error."""
    for start in range(0, len(items), _AT_ONCE):
        some = items[start : start + _AT_ONCE]
        in_rows = content_rows.look([item.entry_id for item in some if item.subspool == IN_DATABASE])
        for item in some:
            yield contents.source_in(in_rows, item.entry_id, item.file_name, item.size_bytes) or item.path


@contextmanager
def as_files(items: Sequence[Kept]) -> Iterator[dict[int, Path]]:
    """A path for each by its `id`, for those who can't ask the database: of a copy, where it has no file.

    Nothing is at the path of one that is gone. Raises OSError and django.db.Error.
    """
    with ExitStack() as copies:
        paths = {}
        for item, source in zip(items, sources_of(items), strict=True):
            try:
                paths[item.id] = copies.enter_context(working.as_file(source, item.file_name))
            except FileNotFoundError:
                paths[item.id] = item.path
        yield paths


def in_database(items: Sequence[Kept]) -> set[int]:
    """The `id` of those whose content is in the database, and there."""
    there = content_rows.there([item.entry_id for item in items if item.subspool == IN_DATABASE])
    return {item.id for item in items if item.entry_id in there}


def has_file(item: Kept, home: Path, mark: str) -> bool:
    """Have the file where the message was before it was moved, at `home` if need be; False when it is nowhere.

    `mark` is that of the folder which `home` is below (spool.files.marks). A new name at `home` is not synced.
    """
    if not item.paths:
        return False
    if os.path.exists(home) or item.path.exists():
        return True
    if item.state != TrashState.MOVED or (contents.in_database() and not claim.has_files()):
        # Nobody else would find a file here: it is put back by the machine that has the files of the others.
        return False
    marks.require(mark)
    home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    source = from_folder(item)
    return source is not None and link_or_copy(source, home)


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


def from_folder(item: Kept) -> Path | None:
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


def remove_copy(item: Kept) -> None:
    """The copy in the folder goes, for the message is back where it was."""
    for name in (item.file_name, f"{item.file_name.removesuffix(store.SUFFIX)}.json"):
        store.unlink(Path(item.target) / name)
