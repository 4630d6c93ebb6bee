"""A restore, from its beginning to its end, into an installation that is empty and stopped.

Everything is brought beside its place and held against its sum before anything is touched. From then on a mark in the
home keeps programs from starting, until the last step is done; a restore that was killed is run again.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from mailspool.backup import afterwards, conditions, loading
from mailspool.backup.afterwards import Settled
from mailspool.backup.disk import sync_all_below
from mailspool.backup.errors import BackupError
from mailspool.backup.keeping import alone
from mailspool.backup.making import check_owner, holding, private, work_folder
from mailspool.backup.manifest import File, Header
from mailspool.backup.progress import Progress
from mailspool.backup.snapshot import FILES
from mailspool.backup.sources import FolderSource, Source, StreamSource
from mailspool.backup.staging import Looking, Staging
from mailspool.home import Home
from spool.files import marks

# How many of what is damaged are named.
_NAMED: Final = 20


@dataclass(slots=True)
class Looked:
    """What a look through a backup came to: `damaged` have a sentence each; `missing` had no file when it was made."""

    name: str
    header: Header
    files: int = 0
    bytes: int = 0
    maildir_messages: int = 0
    missing: int = 0
    damaged: list[str] = field(default_factory=list)
    damaged_paths: set[str] = field(default_factory=set)

    def add(self, file: File, fault: str) -> None:
        self.files += 1
        self.bytes += file.size
        self.missing += not file.sha256
        self.maildir_messages += file.path.startswith("maildirs/") and Path(file.path).parent.name in ("new", "cur")
        if fault:
            self.damaged.append(f"{file.path}: {fault}")
            self.damaged_paths.add(file.path)


@dataclass(frozen=True, slots=True)
class Restored:
    """What there is now. `due_names` are the messages that may have been delivered since, when they were asked for."""

    looked: Looked
    settled: Settled
    due_names: list[str]
    seconds: float


def look(home: Home, source: Path | BinaryIO, progress: Progress) -> Looked:
    """Read all of a backup, and hold it against its sums; nothing is changed. Raises BackupError."""
    with private(), alone(home), work_folder(home) as work, _opened(source, work) as opened:
        conditions.check_header(opened.header)
        looked = Looked(opened.name, opened.header)
        for file, fault in opened.hand_over(Looking()):
            looked.add(file, fault)
            progress.count("files", looked.files, 0, looked.bytes)
        progress.end()
    return looked


def restore(
    home: Home, source: Path | BinaryIO, progress: Progress, *, hold: bool, without_damaged: bool, list_due: bool
) -> Restored:
    """Bring a backup into `home` and its database. Raises BackupError and OSError; then it can be run again."""
    began = time.monotonic()
    check_owner(home)
    with private(), alone(home), work_folder(home) as work, _opened(source, work) as opened:
        header = opened.header
        conditions.check_header(header)
        conditions.check_stopped(home)
        if not _is_unfinished(home, header):
            conditions.check_empty(home)
        progress.say(f"The backup of {header.taken:%Y-%m-%d %H:%M:%S} UTC, made by Mailspool {header.version}.")
        with contextlib.closing(Staging(home)) as staging:
            looked = _stage(opened, staging, progress, without_damaged=without_damaged)
            staging.sync()
            _mark(home, header)
            progress.say("Everything is there and as it was; bringing it to its place.")
            staging.place()
            loading.load(staging.database(FILES[header.engine]))
            afterwards.bring_objects_home(home)
            due = afterwards.names_due() if list_due else []
            settled = afterwards.settle(header.taken, hold=hold)
            # The database knows the installation that was backed up; these folders are new.
            marks.accept(this_home=True)
        home.restore_mark.unlink()
        sync_all_below(home.root)
    return Restored(looked, settled, due, time.monotonic() - began)


@contextlib.contextmanager
def _opened(source: Path | BinaryIO, work: Path) -> Iterator[Source]:
    if isinstance(source, Path):
        if not source.is_dir():
            raise BackupError(f"There is no folder {source}.")
        found = FolderSource(source)
        with holding(found.root, shared=True):
            yield found
    else:
        yield StreamSource(source, work)


def _stage(opened: Source, staging: Staging, progress: Progress, *, without_damaged: bool) -> Looked:
    looked = Looked(opened.name, opened.header)
    for file, fault in opened.hand_over(staging):
        looked.add(file, fault)
        if fault:
            staging.drop(file.path)
        progress.count("files", looked.files, 0, looked.bytes)
    progress.end()
    database = FILES[opened.header.engine]
    if looked.damaged and (not without_damaged or database in looked.damaged_paths):
        more = " and more" if len(looked.damaged) > _NAMED else ""
        raise BackupError(
            f"{len(looked.damaged)} files of the backup are damaged: {'; '.join(looked.damaged[:_NAMED])}{more}."
            " Nothing was restored. Take another backup"
            + ("." if database in looked.damaged_paths else ", or leave these out with --without-damaged.")
        )
    if not staging.database(database).exists():
        raise BackupError(f"The backup has no {database}: nothing was restored.")
    return looked


def _is_unfinished(home: Home, header: Header) -> bool:
    """Whether a restore of this very backup was begun here. Raises BackupError when it was another one's."""
    try:
        began = json.loads(home.restore_mark.read_text())["taken"]
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError):
        began = "an unknown time"
    if began == header.taken.isoformat():
        return True
    raise BackupError(
        f"A restore of the backup of {began} was begun here and not finished: run that again, or begin with an empty"
        f" home and an empty database."
    )


def _mark(home: Home, header: Header) -> None:
    """From now on no program starts here, until the restore has ended."""
    with home.restore_mark.open("w") as mark:
        json.dump({"taken": header.taken.isoformat()}, mark)
        mark.flush()
        os.fsync(mark.fileno())
    sync_all_below(home.root)
