"""The manifest of a backup: JSON, a line for what the backup is, one for each file, and one that says it is whole.

{"format": "mailspool-backup-1", "taken": "2026-11-29T11:00:00+00:00", "engine": "sqlite", …}
{"path": "spool/subspool0001/0hm….eml", "size": 4096, "sha256": "…", "mtime": 1795950000000000000}
{"end": true, "files": 1, "bytes": 4096, "missing": 0}
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Final, TextIO

from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from mailspool import VERSION
from mailspool.backup.errors import BackupError

FORMAT: Final = "mailspool-backup-1"
NAME: Final = "manifest.jsonl"
# Folders of the home that a backup has files of.
TOPS: Final = frozenset({"spool", "quarantine", "maildirs", "drop", "keys"})


@dataclass(frozen=True, slots=True)
class Header:
    """What a backup is of. `migrations` are all that the database has, by app."""

    taken: datetime
    engine: str
    hostname: str
    migrations: dict[str, list[str]]
    maildirs: bool
    version: str = VERSION
    server: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self), "taken": self.taken.isoformat()}

    @classmethod
    def of(cls, values: dict[str, Any]) -> Header:
        """Raises BackupError for what this program does not know."""
        if values.get("format") != FORMAT:
            raise BackupError(f"This is no backup that this Mailspool knows: its format is {values.get('format')!r}.")
        try:
            return cls(
                datetime.fromisoformat(values["taken"]),
                values["engine"],
                values["hostname"],
                values["migrations"],
                values["maildirs"],
                values["version"],
                values["server"],
            )
        except (KeyError, ValueError, TypeError) as error:
            raise BackupError(f"The manifest's first line can't be understood: {error!r}.") from error


@dataclass(frozen=True, slots=True)
class File:
    """One file. `path` is below the home; the database's is its name alone. `sha256` "" says that it was missing."""

    path: str
    size: int
    sha256: str
    mtime: int = 0

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.path).parts
        inside = parts[:1] and parts[0] in TOPS and ".." not in parts and len(parts) > 1
        if "\0" in self.path or not (inside or (len(parts) == 1 and parts[0].startswith("database."))):
            raise BackupError(f"The manifest names a file that no backup has: {self.path!r}.")


@dataclass(slots=True)
class Totals:
    """What is counted while a backup is made."""

    files: int = 0
    bytes: int = 0
    missing: int = 0
    copied: int = 0
    messages: int = 0
    maildir_messages: int = 0
    missing_paths: list[str] = field(default_factory=list)


def migrations(alias: str) -> dict[str, list[str]]:
    """All migrations that a database has, by app."""
    found: dict[str, list[str]] = {}
    for app, name in sorted(MigrationRecorder(connections[alias]).applied_migrations()):
        found.setdefault(app, []).append(name)
    return found


def write_header(to: TextIO, header: Header) -> None:
    _write(to, header.as_json())


def write_file(to: TextIO, file: File) -> None:
    _write(to, {"path": file.path, "size": file.size, "sha256": file.sha256, "mtime": file.mtime})


def write_end(to: TextIO, totals: Totals) -> None:
    _write(to, {"end": True, "files": totals.files, "bytes": totals.bytes, "missing": totals.missing})


def _write(to: TextIO, values: dict[str, Any]) -> None:
    to.write(f"{json.dumps(values, separators=(',', ':'))}\n")


def read_header(source: BinaryIO) -> Header:
    """Raises BackupError."""
    return Header.of(_values(source.readline()))


def read_files(source: BinaryIO) -> Iterator[File]:
    """The files, from behind the header. Raises BackupError, also when the end is missing or counts otherwise."""
    for count, line in enumerate(source):
        values = _values(line)
        if values.get("end"):
            if values.get("files") != count:
                raise BackupError(f"The manifest has {count} files, and says that there are {values.get('files')}.")
            return
        try:
            file = File(values["path"], int(values["size"]), values["sha256"], int(values["mtime"]))
        except (KeyError, ValueError, TypeError) as error:
            raise BackupError(f"A line of the manifest can't be understood: {line[:200]!r}.") from error
        yield file
    raise BackupError("The manifest has no end: the backup was not finished.")


def _values(line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BackupError(f"A line of the manifest can't be read: {line[:200]!r}.") from error
    if not isinstance(values, dict):
        raise BackupError(f"A line of the manifest can't be understood: {line[:200]!r}.")
    return values
