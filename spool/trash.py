"""Entries that were taken out of the spool and can be put back: deleted ones, and those moved to a folder.

Taking is one transaction: the entry and its recipients become one Trashed row, its open recipients are recorded as
removed, and the rows go. Only then does the file go to `<home>/trash/<day>/`. Until it has got there, because a crash
came between, it is at its place in the spool: everything here looks at both. Restoring goes the other way round: file
first, then rows, by one transaction in which the Trashed row goes.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings as django_settings

from spool import incoming, packing, statements, store
from spool.envelope import RecipientResult
from spool.models.recipient import Outcome
from spool.models.trashed import Trashed, TrashState

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Taken:
    """What is needed to find the file of an entry that was taken."""

    id: int
    file_name: str
    subspool: str
    state: str
    target: str
    at: datetime

    @property
    def in_spool(self) -> Path:
        return store.path_of(self.subspool, self.file_name)

    @property
    def in_trash(self) -> Path:
        return folder_of(self.at) / self.file_name


def root() -> Path:
    """The folder that holds the trash, a folder for each day in it."""
    path: Path = django_settings.HOME.root / "trash"
    return path


def folder_of(at: datetime) -> Path:
    """Where files go that were deleted at that moment."""
    return root() / f"{at:%Y-%m-%d}"


def take(
    ids: Sequence[int], event_id: int, now: datetime, reply: str, state: TrashState, target: str = ""
) -> list[Taken]:
    """Make Trashed rows of entries that the caller has claimed, in the caller's transaction.

    `reply` is what the trace says of the recipients that were still open.
    """
    if not ids:
        return []
    clause, parameters = statements.id_list(ids)
    moment = statements.db_time(now)
    statements.execute(
        f"INSERT INTO spool_trashed (id, file_name, subspool, sender, subject, size_bytes, state, target, at, event_id,"
        f" entry, recipients) SELECT e.id, e.file_name, e.subspool, e.sender, e.subject, e.size_bytes, {_text(state)},"
        f" %s, %s, %s, {packing.entry_as_json()}, {packing.recipients_as_json()} FROM spool_entry e"
        f" WHERE e.id {clause}",
        [target, moment, event_id, *parameters],
    )
    packing.trace_open_recipients(clause, parameters, Outcome.REMOVED, reply, now)
    statements.execute(f"DELETE FROM spool_recipient WHERE entry_id {clause}", parameters)
    rows = statements.execute(
        f"DELETE FROM spool_entry WHERE id {clause} RETURNING id, file_name, subspool", parameters
    ).fetchall()
    return [Taken(row[0], row[1], row[2], state.value, target, now) for row in rows]


def put_files_away(taken: Sequence[Taken]) -> None:
    """Move the files of deleted entries to the trash, after the commit. What fails stays findable in the spool."""
    if not taken:
        return
    folder = folder_of(taken[0].at)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Under the rows' locks: somebody may be restoring them already.
    with statements.write_transaction():
        for item in locked([item.id for item in taken]):
            rename(item.in_spool, item.in_trash)
    # The names in the spool need no sync: a file is looked for in both places.
    store.sync_folder(folder)


def restore(ids: Sequence[int], now: datetime) -> tuple[list[int], int]:
    """Put entries back into the spool as they were; (those restored, how many had lost their file)."""
    with statements.write_transaction():
        rows = locked(ids)
        there = [item for item in rows if _bring_back(item)]
        # A rollback from here on leaves files in the spool whose Trashed rows still know them.
        for folder in {item.in_spool.parent for item in there}:
            store.sync_folder(folder)
        restored = [item.id for item in there]
        if restored:
            _insert(there, now)
    for item in there:
        if item.state == TrashState.MOVED:
            _forget_moved(item)
    return restored, len(rows) - len(there)


def locked(ids: Sequence[int]) -> list[Taken]:
    """Those of `ids` that are still in the trash, theirs until the caller's transaction ends."""
    if not ids:
        return []
    clause, parameters = statements.id_list(ids)
    rows = statements.execute(
        f"SELECT id, file_name, subspool, state, target, at FROM spool_trashed WHERE id {clause} ORDER BY id"
        + ("" if statements.on_sqlite() else " FOR UPDATE"),
        parameters,
    ).fetchall()
    return [_from_row(row) for row in rows]


def _from_row(row: statements.Row) -> Taken:
    return Taken(row[0], row[1], row[2], row[3], row[4], statements.from_db_time(row[5]))


def note_delivered(entry_id: int, results: Sequence[RecipientResult], now: datetime) -> None:
    """Recipients who had the message after all, when its worker answers late: Undo must not send it to them again.

    Call it in a transaction.
    """
    row = Trashed.objects.select_for_update().filter(id=entry_id).first()
    if row is not None and packing.note_delivered(row, results, Outcome.REMOVED, now):
        row.save(update_fields=["entry", "recipients"])


def purge(now: datetime, days: int) -> int:
    """Remove for good what was deleted more than `days` ago; how many messages. Moved files stay where they are."""
    before = now - timedelta(days=days)
    purged = 0
    while True:
        ids = list(
            Trashed.objects.filter(at__lt=before).exclude(state=TrashState.MOVING).order_by("at")
            .values_list("id", flat=True)[:CHUNK]
        )  # fmt: skip
        if not ids:
            break
        purged += len(remove(ids))
    for folder in root().iterdir() if root().is_dir() else ():
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOTDIR):
                raise
    return purged


def remove(ids: Sequence[int]) -> list[Taken]:
    """Remove entries of the trash for good: rows first, then files."""
    clause, parameters = statements.id_list(ids)
    with statements.write_transaction():
        rows = statements.execute(
            f"DELETE FROM spool_trashed WHERE id {clause} RETURNING id, file_name, subspool, state, target, at",
            parameters,
        ).fetchall()
    removed = [_from_row(row) for row in rows]
    for item in removed:
        if item.state == TrashState.TRASHED:
            store.unlink(item.in_trash)
            store.unlink(item.in_spool)
    return removed


def _bring_back(item: Taken) -> bool:
    """Have the file at its place in the spool; False when it is nowhere."""
    if item.in_spool.exists():
        return True
    item.in_spool.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if item.state != TrashState.MOVED:
        return rename(item.in_trash, item.in_spool)
    source = Path(item.target) / item.file_name
    try:
        size = Trashed.objects.values_list("size_bytes", flat=True).get(id=item.id)
        # Somebody may have changed it there: bytes of the spool are never changed.
        if source.is_symlink() or source.stat().st_size != size:
            return False
    except (OSError, Trashed.DoesNotExist):
        return False
    return link_or_copy(source, item.in_spool)


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


def _insert(items: Sequence[Taken], now: datetime) -> None:
    clause, parameters = statements.id_list([item.id for item in items])
    packing.unpack("spool_trashed", clause, parameters, now)
    # Only what this removal wrote down: a redirection before it has ended recipients for good.
    packing.untrace([item.file_name for item in items], [item.at for item in items], Outcome.REMOVED)
    statements.execute(f"DELETE FROM spool_trashed WHERE id {clause}", parameters)


def _forget_moved(item: Taken) -> None:
    """The copy in the folder goes, for the message is in the spool again."""
    for name in (item.file_name, f"{item.file_name.removesuffix(store.SUFFIX)}.json"):
        store.unlink(Path(item.target) / name)


def _text(state: TrashState) -> str:
    return f"'{state.value}'"
