"""The message files that the rows of a snapshot name, in a small database on the disk: there may be millions.

A row leaves the list when its file has been copied.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, cast

from django.db import connections

from mailspool.backup.errors import BackupError
from mailspool.backup.snapshot import ALIAS
from mailspool.home import Home
from quarantine.models.item import Item, ItemKind, ItemState
from spool.files import bucket, removal
from spool.models.content import IN_DATABASE, Content, StoredObject
from spool.models.entry import Entry
from spool.models.trashed import Trashed, TrashState

CHUNK: Final = 1_000
# Where a backup has what was in the bucket, and a home while it is restored.
OBJECTS: Final = "spool/objects"
# A file that is moved just then is found at its new place by the next look.
_LOOKS: Final = 6


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A message file. `path` is where a restored installation has it, below the home."""

    name: str
    path: str
    subspool: str
    size_bytes: int

    @property
    def is_object(self) -> bool:
        """Whether it is in the bucket, under its name as key."""
        return self.path.startswith(f"{OBJECTS}/")


class Wanted:
    """The list. `count` and `size_bytes` are those of all, copied or not."""

    def __init__(self, database: Path) -> None:
        self._rows = sqlite3.connect(database, isolation_level=None)
        # It is worth nothing after a crash.
        self._rows.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE file (name TEXT PRIMARY KEY, path TEXT, subspool TEXT, size INTEGER) WITHOUT ROWID"
        )
        self.count, self.size_bytes = 0, 0

    def close(self) -> None:
        self._rows.close()

    def fill(self) -> None:
        """Read the names from the snapshot, which can be asked now."""
        rows = _rows()
        self._rows.execute("BEGIN")
        while some := list(islice(rows, CHUNK)):
            self._rows.executemany("INSERT OR IGNORE INTO file VALUES (?, ?, ?, ?)", some)
        self._rows.execute("COMMIT")
        [(self.count, self.size_bytes)] = self._rows.execute("SELECT count(*), coalesce(sum(size), 0) FROM file")

    def chunks(self) -> Iterator[list[WantedFile]]:
        """All that are in the list, in the order of their coming in."""
        last = ""
        while rows := self._rows.execute(
            "SELECT name, path, subspool, size FROM file WHERE name > ? ORDER BY name LIMIT ?", (last, CHUNK)
        ).fetchall():
            last = rows[-1][0]
            yield [WantedFile(*row) for row in rows]

    def remove(self, names: Collection[str]) -> None:
        """Their files have been copied."""
        self._rows.execute("BEGIN")
        self._rows.executemany("DELETE FROM file WHERE name = ?", [(name,) for name in names])
        self._rows.execute("COMMIT")

    def among(self, names: Collection[str]) -> set[str]:
        """Those of `names`, a chunk of them, that are in the list."""
        marks = ",".join("?" * len(names))
        found = self._rows.execute(f"SELECT name FROM file WHERE name IN ({marks})", list(names))  # noqa: S608
        return {name for (name,) in found}


def _rows() -> Iterator[tuple[str, str, str, int]]:
    """What is in the spool, in the trash and in the quarantines, but not what was moved to a folder of people's own."""
    of_entries = Entry.objects.using(ALIAS).order_by("id")
    if Content._meta.db_table in connections[ALIAS].introspection.table_names():
        # The snapshot has the others in it. A schema that is about to be upgraded may have none yet.
        of_entries = of_entries.exclude(id__in=Content.objects.using(ALIAS).values("entry_id"))
    of_trash = Trashed.objects.using(ALIAS).exclude(state=TrashState.MOVED).exclude(subspool=IN_DATABASE).order_by("id")
    for rows in (of_entries, of_trash):
        for name, subspool, size in rows.values_list("file_name", "subspool", "size_bytes").iterator(CHUNK):
            yield name, f"spool/{subspool}/{name}", subspool, size
    if StoredObject._meta.db_table in connections[ALIAS].introspection.table_names():
        kept = StoredObject.objects.using(ALIAS).filter(entry_id__isnull=False).order_by("id")
        for key, size in kept.values_list("key", "size_bytes").iterator(CHUNK):
            yield key, f"{OBJECTS}/{key}", "", size
    items = Item.objects.using(ALIAS).exclude(state=ItemState.MOVED).exclude(subspool=IN_DATABASE).order_by("id")
    for name, subspool, size, kind, at in items.values_list(
        "file_name", "subspool", "size_bytes", "kind", "at"
    ).iterator(CHUNK):
        yield name, f"quarantine/{kind}/{at:%Y-%m-%d}/{name}", subspool, size


def _of_bucket(file: WantedFile) -> BinaryIO | None:
    copy = tempfile.TemporaryFile()  # noqa: SIM115 – the caller's
    try:
        for piece in bucket.pieces(file.name, file.size_bytes):
            copy.write(piece)
        copy.seek(0)
    except BaseException as error:
        copy.close()
        if isinstance(error, FileNotFoundError):
            return None
        if isinstance(error, bucket.Away):
            raise BackupError(f"What is in the bucket can't be read: {error}.") from error
        raise
    return cast(BinaryIO, copy)


class Places:
    """Where a message file may be since the snapshot was taken."""

    def __init__(self, home: Home, since: datetime) -> None:
        self._root = str(home.root)
        self._since = since

    def open(self, file: WantedFile) -> BinaryIO | None:
        """The file, wherever it is now; None when it is nowhere. Once it is open, moves are no matter.

        Raises BackupError while the bucket is away: without it a backup would lack what is there.
        """
        if file.is_object:
            return _of_bucket(file)
        for look in range(_LOOKS):
            if look:
                time.sleep(0.02 * look)
            for place in self._of(file):
                try:
                    return open(place, "rb")
                except FileNotFoundError:
                    continue
        return None

    def _of(self, file: WantedFile) -> Iterator[str]:
        """Where it was, where it may have been moved to, and where it is kept, in this order: it may be on its way."""
        yield f"{self._root}/{file.path}"
        yield f"{self._root}/spool/{file.subspool}/{file.name}"
        yield f"{self._root}/spool/{removal.FOLDER}/{file.name}"
        for kind in ItemKind.values:
            for day in self._days():
                yield f"{self._root}/quarantine/{kind}/{day}/{file.name}"
            yield f"{self._root}/quarantine/{kind}/{removal.FOLDER}/{file.name}"

    def _days(self) -> Iterator[str]:
        """What a message that was quarantined since may be filed under; a worker's clock may be a little behind."""
        day = (self._since - timedelta(minutes=5)).date()
        while day <= datetime.now(UTC).date():
            yield f"{day:%Y-%m-%d}"
            day += timedelta(days=1)
