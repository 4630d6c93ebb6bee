"""A backup to be restored from: one in a folder of backups, or a tar that streams in.

Both hand each file over once, and hold its content against the manifest: before the copying for a folder, and after all
has come in for a tar, whose manifest is its end.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from mailspool.backup import manifest, pool, stream
from mailspool.backup.errors import BackupError
from mailspool.backup.manifest import File, Header
from mailspool.backup.staging import Taker


class Source(Protocol):
    """A backup. `name` is for people."""

    name: str
    header: Header

    def hand_over(self, taker: Taker) -> Iterator[tuple[File, str]]:
        """Each file of the manifest, and what is wrong with it, "" for nothing. Raises BackupError."""
        ...


_DIFFERS: Final = "its content is not what was backed up"


class FolderSource:
    """A backup in a folder of backups, by the folder's path (then it is the newest one) or by its own."""

    def __init__(self, path: Path) -> None:
        if (path / manifest.NAME).is_file():
            self._backup, self.root = path, path.parent
        else:
            newest = pool.newest(path)
            if newest is None:
                left = sorted(one.name for one in path.glob(f"*{pool.UNFINISHED}"))
                more = f" What is there was not finished: {', '.join(left)}." if left else ""
                raise BackupError(f"There is no backup in {path}.{more}")
            self._backup, self.root = newest, path
        self.name = str(self._backup)
        with self._manifest() as source:
            self.header = manifest.read_header(source)

    def hand_over(self, taker: Taker) -> Iterator[tuple[File, str]]:
        with self._manifest() as source:
            manifest.read_header(source)
            for file in manifest.read_files(source):
                yield file, self._fault(file, taker) if file.sha256 else ""

    def _fault(self, file: File, taker: Taker) -> str:
        own = file.path.startswith("database.")
        try:
            with (self._backup / file.path if own else pool.content_of(self.root, file.sha256)).open("rb") as content:
                return "" if taker.take(file.path, content, file.mtime) == (file.sha256, file.size) else _DIFFERS
        except FileNotFoundError:
            return "its content is gone"

    def _manifest(self) -> BinaryIO:
        return (self._backup / manifest.NAME).open("rb")


class StreamSource:
    """A tar, as it comes in. `work` is a folder for a list of what came."""

    name = "the tar"

    def __init__(self, source: BinaryIO, work: Path) -> None:
        self._came = work / "came.sqlite3"
        with _readable():
            self._tar = tarfile.open(fileobj=source, mode="r|", errors="surrogateescape")  # noqa: SIM115
            first = self._tar.next()
            content = self._tar.extractfile(first) if first is not None and first.name == stream.HEADER else None
            if content is None:
                raise BackupError("This is no tar that `backup -` has made: it does not begin with a header.")
            self.header = manifest.read_header(content)  # type: ignore[arg-type]

    def hand_over(self, taker: Taker) -> Iterator[tuple[File, str]]:
        with contextlib.closing(sqlite3.connect(self._came, isolation_level=None)) as came:
            came.executescript(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                "CREATE TABLE came (path BLOB PRIMARY KEY, size INTEGER, sha256 TEXT) WITHOUT ROWID"
            )
            with _readable():
                content = self._take_all(taker, came)
                for file in manifest.read_files(content):
                    row = came.execute("SELECT sha256, size FROM came WHERE path = ?", (_bytes(file.path),)).fetchone()
                    if not file.sha256:
                        yield file, ""
                    elif row is None:
                        yield file, "it is not in the tar"
                    else:
                        yield file, "" if row == (file.sha256, file.size) else _DIFFERS

    def _take_all(self, taker: Taker, came: sqlite3.Connection) -> BinaryIO:
        """Take every file up to the manifest; that, behind its header."""
        came.execute("BEGIN")
        while (member := self._tar.next()) is not None:
            content = self._tar.extractfile(member)
            if content is None:
                raise BackupError(f"The tar has something that no backup has: {member.name!r}.")
            if member.name == manifest.NAME:
                came.execute("COMMIT")
                manifest.read_header(content)  # type: ignore[arg-type]
                return content  # type: ignore[return-value]
            # A name that leads elsewhere is refused here.
            path = File(member.name, member.size, "").path
            digest, size = taker.take(path, content, int(member.mtime * 1_000_000_000))  # type: ignore[arg-type]
            came.execute("INSERT OR REPLACE INTO came VALUES (?, ?, ?)", (_bytes(path), size, digest))
        raise BackupError("The tar ends before its manifest: the backup was not finished, or is cut off.")


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        raise BackupError(f"The tar can't be read to its end: {error}.") from error


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
