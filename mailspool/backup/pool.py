"""A folder of backups. They share the contents of their files, each of which is there once, named by its SHA-256:

    FOLDER/pool/ab/abcdef…                              contents
    FOLDER/2026-11-29T110000Z/manifest.jsonl            what this backup has, by path and sum
    FOLDER/2026-11-29T110000Z/database.dump             its database
    FOLDER/2026-11-29T120000Z.unfinished/               one that is being made, or that was killed

A message file that is in the previous backup is not read again: its name is enough. One on the same file system is
linked: nobody changes it. A folder becomes a backup by losing its `.unfinished`, when all that it needs is on the disk.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from mailspool.backup import manifest
from mailspool.backup.disk import make_folder, sync_all_below
from mailspool.backup.errors import BackupError
from mailspool.backup.manifest import File, Header

_NAMED: Final = "%Y-%m-%dT%H%M%SZ"
UNFINISHED: Final = ".unfinished"
PIECE_BYTES: Final = 256 * 1024
_CANNOT_LINK: Final = frozenset({errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOENT})


class Pool:
    """Takes the files of one backup, `folder` of which holds what is its own. `linked` counts what was not copied."""

    def __init__(self, root: Path, taken: datetime, work: Path, *, link: bool = True) -> None:
        self.root = root
        self._link = link
        self._previous = _Previous(work / "previous.sqlite3", newest(root))
        while (root / f"{taken:{_NAMED}}").exists():
            # Of the same second: the next one's name is free, and stands after it.
            taken += timedelta(seconds=1)
        self._name = f"{taken:{_NAMED}}"
        for left in root.glob(f"*{UNFINISHED}"):
            shutil.rmtree(left)
        self.folder = root / f"{self._name}{UNFINISHED}"
        for folder in (root, self.folder, self._contents, self._drafts):
            make_folder(folder)
        for draft in self._drafts.iterdir():
            draft.unlink()
        self.linked = 0

    @property
    def _contents(self) -> Path:
        return self.root / "pool"

    @property
    def _drafts(self) -> Path:
        return self.root / "pool" / "unfinished"

    def begin(self, header: Header) -> None:
        """Nothing is said before the manifest."""

    def known(self, path: str, size: int, mtime: int) -> str:
        """The sum of a file that can't have changed since the previous backup; "" when it has to be read."""
        found = self._previous.sum_of(path, size, mtime)
        return found if found and self._has(found, size) else ""

    def add(self, path: str, source: BinaryIO, *, immutable: bool) -> File:
        """Have the content of `source` in the pool."""
        stat = os.fstat(source.fileno())
        if immutable and self._link:
            digest, size = digest_of(source)
            if self._is_vouched_for(digest, size) or self._linked(source, digest):
                return File(path, size, digest, stat.st_mtime_ns)
            source.seek(0)
        draft = self._drafts / "draft"
        digest, size = copy(source, draft)
        if self._is_vouched_for(digest, size):
            draft.unlink()
        else:
            self._folder_of(digest)
            draft.rename(content_of(self.root, digest))
        return File(path, size, digest, stat.st_mtime_ns)

    def finish(self) -> Path:
        """It is a backup from now on; where it is. Raises OSError."""
        self._previous.close()
        sync_all_below(self.root)
        done = self.root / self._name
        self.folder.rename(done)
        sync_all_below(self.root)
        return done

    def _is_vouched_for(self, digest: str, size: int) -> bool:
        """Whether the pool has it from the previous backup, or it is what its name says: a killed one may have left it.

        After a power cut a file that was not synced can have its name and size, and not its content.
        """
        if not self._has(digest, size):
            return False
        if self._previous.has(digest):
            return True
        with content_of(self.root, digest).open("rb") as file:
            return digest_of(file)[0] == digest

    def _has(self, digest: str, size: int) -> bool:
        try:
            return content_of(self.root, digest).stat().st_size == size
        except FileNotFoundError:
            return False

    def _linked(self, source: BinaryIO, digest: str) -> bool:
        """Whether the very file is in the pool now. It is linked by its descriptor, for its name may have changed."""
        target = content_of(self.root, digest)
        self._folder_of(digest)
        target.unlink(missing_ok=True)
        here = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        try:
            # With a descriptor os.link() calls linkat(2), which follows what /proc has of an open file.
            os.link(f"/proc/self/fd/{source.fileno()}", target, src_dir_fd=here, follow_symlinks=True)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            return False
        finally:
            os.close(here)
        self.linked += 1
        return True

    def _folder_of(self, digest: str) -> None:
        folder = self._contents / digest[:2]
        if not folder.is_dir():
            make_folder(folder)


class _Previous:
    """The sums of the previous backup's files, by what identifies a file that never changes."""

    def __init__(self, database: Path, backup: Path | None) -> None:
        self._rows = sqlite3.connect(database, isolation_level=None)
        self._rows.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE known (key TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, sha256 TEXT) WITHOUT ROWID"
        )
        if backup is None:
            return
        self._rows.execute("BEGIN")
        with (backup / manifest.NAME).open("rb") as source:
            manifest.read_header(source)
            rows = ((_storable(_key(f.path)), f.size, f.mtime, f.sha256) for f in manifest.read_files(source))
            while some := list(islice(rows, 1000)):
                self._rows.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?)", some)
        self._rows.execute("COMMIT")
        self._rows.execute("CREATE INDEX known_sum ON known (sha256)")

    def close(self) -> None:
        self._rows.close()

    def sum_of(self, path: str, size: int, mtime: int) -> str:
        row = self._rows.execute(
            "SELECT sha256, mtime FROM known WHERE key = ? AND size = ?", (_storable(_key(path)), size)
        ).fetchone()
        # Names of messages in the spool are never used again; others could be.
        return str(row[0]) if row and (mtime in (0, row[1])) else ""

    def has(self, digest: str) -> bool:
        return self._rows.execute("SELECT 1 FROM known WHERE sha256 = ? LIMIT 1", (digest,)).fetchone() is not None


def _key(path: str) -> str:
    """What identifies a file while it is moved about: for a message file its name, in a Maildir that without flags."""
    top, _, rest = path.partition("/")
    if top in ("spool", "quarantine"):
        return path.rpartition("/")[2]
    if top == "maildirs":
        folder, _, name = rest.rpartition("/")
        parent, _, kind = folder.rpartition("/")
        if kind in ("new", "cur"):
            return f"{top}/{parent}/{name.partition(':')[0]}"
    return path


def _storable(text: str) -> bytes:
    """A path that need not be UTF-8 as SQLite takes it."""
    return os.fsencode(text)


def content_of(root: Path, digest: str) -> Path:
    """Where the pool has the content with this SHA-256."""
    if len(digest) != 64 or not digest.isalnum():
        raise BackupError(f"{digest!r} is no SHA-256.")
    return root / "pool" / digest[:2] / digest


def newest(root: Path) -> Path | None:
    """The last backup in a folder of backups that was finished."""
    found = finished(root)
    return found[-1] if found else None


def finished(root: Path) -> list[Path]:
    """The backups in a folder that are whole, oldest first."""
    return sorted(path.parent for path in root.glob(f"[0-9]*Z/{manifest.NAME}"))


def prune(root: Path, keep: int, work: Path) -> int:
    """Remove all backups but the newest `keep`, and the contents that only they had; how many backups."""
    backups = finished(root)
    old = backups[:-keep]
    for left in root.glob("[0-9]*Z"):
        # A removal that was killed.
        if left not in backups:
            shutil.rmtree(left)
    if not old:
        return 0
    for backup in old:
        # From here on it is none, whatever becomes of the rest.
        (backup / manifest.NAME).unlink()
        shutil.rmtree(backup)
    with sqlite3.connect(work / "needed.sqlite3", isolation_level=None) as needed:
        needed.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE content (sha256 TEXT PRIMARY KEY) WITHOUT ROWID"
        )
        needed.execute("BEGIN")
        for backup in backups[-keep:]:
            needed.executemany("INSERT OR IGNORE INTO content VALUES (?)", _sums(backup))
        needed.execute("COMMIT")
        for folder in (root / "pool").glob("[0-9a-f][0-9a-f]"):
            for content in list(folder.iterdir()):
                if needed.execute("SELECT 1 FROM content WHERE sha256 = ?", (content.name,)).fetchone() is None:
                    content.unlink()
    return len(old)


def _sums(backup: Path) -> Iterator[tuple[str]]:
    with (backup / manifest.NAME).open("rb") as source:
        manifest.read_header(source)
        for file in manifest.read_files(source):
            yield (file.sha256,)


def copy(source: BinaryIO, target: Path) -> tuple[str, int]:
    """Copy the rest of `source` into a new file; its SHA-256, and its size."""
    digest, size = hashlib.sha256(), 0
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb", 0) as out:
        while piece := source.read(PIECE_BYTES):
            digest.update(piece)
            out.write(piece)
            size += len(piece)
    return digest.hexdigest(), size


def digest_of(source: BinaryIO) -> tuple[str, int]:
    """The SHA-256 of what is left to be read of `source`, and its size."""
    digest, size = hashlib.sha256(), 0
    while piece := source.read(PIECE_BYTES):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size


def sum_of(path: Path) -> tuple[str, int]:
    """The SHA-256 of a file, and its size."""
    with path.open("rb") as source:
        return digest_of(source)
