"""A backup, from its beginning to its end, while mail flows."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from django.conf import settings as django_settings
from django.db import connection, connections
from django.utils import timezone

from mailspool.backup import dropped, maildirs, manifest, pool, snapshot
from mailspool.backup.errors import BackupError
from mailspool.backup.keeping import Keeping, alone
from mailspool.backup.manifest import File, Header, Totals
from mailspool.backup.pool import Pool
from mailspool.backup.progress import Progress
from mailspool.backup.stream import Stream
from mailspool.backup.wanted import Places, Wanted
from mailspool.home import Home
from spool.files import marks
from spool.models.content import Content, StoredObject
from spool.models.installation import Installation
from spool.places import objects

# How many of the files that were missing are named.
_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Made:
    """What a backup came to. `path` is None for one that went to a stream."""

    path: Path | None
    taken: datetime
    totals: Totals
    linked: int
    removed: int
    seconds: float


def make(
    home: Home,
    target: Path | BinaryIO,
    progress: Progress,
    *,
    with_maildirs: bool = True,
    link: bool = True,
    keep: int = 0,
) -> Made:
    """Back `home` up into a folder of backups, or as a tar; with `keep`, only so many of the folder's stay.

    Raises BackupError and OSError; then there is no backup, and those before it are as they were.
    """
    began = time.monotonic()
    check_owner(home)
    _check_folders()
    if isinstance(target, Path):
        _check_place(home, target)
    with private(), alone(home), work_folder(home) as work, contextlib.ExitStack() as stack:
        # Before the snapshot: whatever the backup lacks came later.
        taken = timezone.now()
        sink: Pool | Stream
        if isinstance(target, Path):
            stack.enter_context(holding(target))
            sink = Pool(target, taken, work, link=link)
        else:
            sink = Stream(target, work)
        maker = _Maker(home, work, sink, progress)
        maker.run(taken, with_maildirs=with_maildirs)
        path = sink.finish()
        removed = pool.prune(target, keep, work) if isinstance(target, Path) and keep else 0
    return Made(path, taken, maker.totals, sink.linked, removed, time.monotonic() - began)


class _Maker:
    def __init__(self, home: Home, work: Path, sink: Pool | Stream, progress: Progress) -> None:
        self.totals = Totals()
        self._home = home
        self._sink = sink
        self._progress = progress
        self._wanted = Wanted(work / "wanted.sqlite3")
        self._keeping = Keeping(home)

    def run(self, taken: datetime, *, with_maildirs: bool) -> None:
        """Bring all that belongs to the backup into the sink, the manifest last."""
        with contextlib.closing(self._wanted), contextlib.ExitStack() as stack:
            objects.hold()
            stack.callback(objects.let_go)
            with self._keeping:
                with snapshot.taken(self._sink.folder) as database:
                    self._progress.say(f"Snapshot of the database at {taken:%Y-%m-%d %H:%M:%S} UTC.")
                    self._wanted.fill()
                    finished = dropped.taken_in(self._home)
                    migrations = manifest.migrations(snapshot.ALIAS)
                    self.totals.messages = _in_database()
                    self._progress.say(
                        f"{self._wanted.count:,} messages with files in the spool, the quarantines and the trash,"
                        f" {self.totals.messages:,} whose content is in the database."
                    )
                    database.finish(self._let_go)
                header = Header(taken, database.engine, django_settings.MAILSPOOL_HOSTNAME, migrations, with_maildirs)
                self._sink.begin(header)
                self._manifest = stack.enter_context((self._sink.folder / manifest.NAME).open("w"))
                manifest.write_header(self._manifest, header)
                self._dropped(finished)
                self._messages(Places(self._home, taken))
            self._keys()
            if with_maildirs:
                self._maildirs()
            digest, size = pool.sum_of(database.file)
            self._write(File(database.file.name, size, digest))
            manifest.write_end(self._manifest, self.totals)
            self._progress.end()

    _manifest: TextIO

    def _let_go(self) -> None:
        self._keeping.prune(self._wanted.among)

    def _dropped(self, finished: set[str]) -> None:
        for found in dropped.files(self._home, finished):
            self._add(found.path, found.file, immutable=False)

    def _messages(self, places: Places) -> None:
        count = size = 0
        for files in self._wanted.chunks():
            for wanted in files:
                digest = self._sink.known(wanted.path, wanted.size_bytes, 0)
                if digest:
                    self._write(File(wanted.path, wanted.size_bytes, digest))
                elif (file := places.open(wanted)) is not None:
                    with file:
                        # What came from the bucket has no name here that a link could be made of.
                        self._add(wanted.path, file, immutable=not wanted.is_object)
                else:
                    self._missing(wanted.path, wanted.size_bytes)
                self.totals.messages += 1
                count, size = count + 1, size + wanted.size_bytes
                self._progress.count("messages", count, self._wanted.count, size)
            self._wanted.remove([wanted.name for wanted in files])
            self._let_go()

    def _missing(self, path: str, size: int) -> None:
        self.totals.missing += 1
        if len(self.totals.missing_paths) < _NAMED:
            self.totals.missing_paths.append(path)
        self._write(File(path, size, ""))

    def _keys(self) -> None:
        for path in sorted(self._home.keys.rglob("*")):
            # Hidden ones are marks of the folder.
            if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                with path.open("rb") as file:
                    self._add(str(path.relative_to(self._home.root)), file, immutable=False)

    def _maildirs(self) -> None:
        size = 0
        for mailbox in maildirs.mailboxes(self._home.maildirs):
            for found in maildirs.files_of(mailbox, self._home.root):
                digest = self._sink.known(found.path, found.size, found.mtime) if found.is_message else ""
                if digest:
                    self._write(File(found.path, found.size, digest, found.mtime))
                else:
                    self._add(found.path, found.file, immutable=found.is_message)
                self.totals.maildir_messages += found.is_message
                size += found.size
                self._progress.count("messages in Maildirs", self.totals.maildir_messages, 0, size)

    def _add(self, path: str, file: BinaryIO, *, immutable: bool) -> None:
        self.totals.copied += 1
        self._write(self._sink.add(path, file, immutable=immutable))

    def _write(self, file: File) -> None:
        self.totals.files += 1
        self.totals.bytes += file.size if file.sha256 else 0
        manifest.write_file(self._manifest, file)


@contextlib.contextmanager
def private() -> Iterator[None]:
    """What is made is for its owner alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def work_folder(home: Home) -> Iterator[Path]:
    """A folder for what the backup needs for itself."""
    shutil.rmtree(home.backup_work, ignore_errors=True)
    home.backup_work.mkdir(mode=0o700)
    try:
        yield home.backup_work
    finally:
        shutil.rmtree(home.backup_work, ignore_errors=True)


@contextlib.contextmanager
def holding(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Has a folder of backups for itself, or `shared` with others who only read. Raises BackupError."""
    try:
        if not shared:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise BackupError(f"{folder} can't be used: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BackupError(f"Another backup or restore works in {folder}: wait until it has ended.") from error
    else:
        yield
    finally:
        os.close(descriptor)


def check_owner(home: Home) -> None:
    """Raises BackupError unless we are the user to whom the home belongs."""
    try:
        owner = home.root.stat().st_uid
    except FileNotFoundError as error:
        raise BackupError(f"There is no folder {home.root}: MAILSPOOL_HOME says where the installation is.") from error
    if owner != os.geteuid():
        raise BackupError(
            f"{home.root} belongs to another user (number {owner}): run this as that user, as in"
            " runuser -u mailspool -- …"
        )


def _check_folders() -> None:
    """Raises BackupError when a folder is not ours: an empty mount point would look like mail that is lost."""
    # An older database, which is backed up before it is brought up to date, knows of no marks.
    if Installation._meta.db_table in connection.introspection.table_names() and (missing := marks.faults()):
        raise BackupError(" ".join(missing))


def _check_place(home: Home, target: Path) -> None:
    """Raises BackupError for a folder that mail or secrets are in, or that others may write to."""
    place = target.resolve()
    for folder in (home.spool, home.drop, home.maildirs, home.keys, home.redis, home.root / "quarantine"):
        if place == folder.resolve() or folder.resolve() in place.parents:
            raise BackupError(f"{target} is inside {folder}: give a folder elsewhere, best on another disk.")
    if place == home.root.resolve():
        raise BackupError(f"{target} is the installation itself: give a folder elsewhere, best on another disk.")
    if target.exists() and (not target.is_dir() or target.stat().st_mode & stat.S_IWOTH):
        raise BackupError(f"{target} is no folder, or one that everybody may write to: a backup has secrets in it.")


def _in_database() -> int:
    """How many messages of the snapshot have their content in rows. A schema of before has no table for them."""
    if Content._meta.db_table not in connections[snapshot.ALIAS].introspection.table_names():
        return 0
    count = Content.objects.using(snapshot.ALIAS).count()
    if StoredObject._meta.db_table in connections[snapshot.ALIAS].introspection.table_names():
        count -= StoredObject.objects.using(snapshot.ALIAS).filter(entry_id__isnull=False).count()
    return count
