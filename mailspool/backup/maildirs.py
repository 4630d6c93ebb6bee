"""The mail of local users. Others move it about while it is copied: programs that read mail, users, Sieve.

A message in a Maildir never changes, but its name does: it goes from `new/` to `cur/`, gets flags, and is moved to
another folder of its owner's. So a mailbox is looked through until a look finds nothing new. What its owner deleted
meanwhile is not missed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from mailspool.backup.disk import open_regular

# Nobody moves mail about for so long that it is always at another place.
_LOOKS: Final = 10
_MESSAGES: Final = ("new", "cur")
# What Dovecot makes anew from the messages by itself, and what is of a moment only.
_LEFT_OUT: Final = ("dovecot.index", "dovecot.list.index", "dovecot-uidlist.lock")


@dataclass(frozen=True, slots=True)
class Found:
    """A file, which is open, and closed when the next one is asked for. `path` is below the home."""

    path: str
    file: BinaryIO
    size: int
    mtime: int
    is_message: bool


def mailboxes(maildirs: Path) -> Iterator[Path]:
    """The folders of all users, in order."""
    if maildirs.is_dir():
        for domain in sorted(_folders(maildirs)):
            yield from sorted(_folders(domain))


def files_of(mailbox: Path, home: Path) -> Iterator[Found]:
    """Each message of a user's once, and what else is in the folders, but what can be made again."""
    seen: set[str] = set()
    for _ in range(_LOOKS):
        came, gone = 0, 0
        for path, key, is_message in _look(mailbox):
            if key in seen:
                continue
            try:
                file = open_regular(path)
            except FileNotFoundError:
                # Moved since its name was read, or deleted.
                gone += is_message
                continue
            if file is None:
                continue
            with file:
                seen.add(key)
                came += is_message
                status = os.fstat(file.fileno())
                yield Found(os.path.relpath(path, home), file, status.st_size, status.st_mtime_ns, is_message)
        if not came and not gone:
            return


def _look(folder: Path | str) -> Iterator[tuple[str, str, bool]]:
    """(path, what identifies it, whether it is a message) of the files of a folder and those in it.

    `new` goes before `cur`, which is the way that messages go.
    """
    here = os.fspath(folder)
    inner = []
    for entry in _entries(here):
        if entry.is_symlink():
            continue
        if entry.is_dir():
            if entry.name not in (*_MESSAGES, "tmp"):
                inner.append(entry.path)
        elif not entry.name.startswith(_LEFT_OUT):
            yield entry.path, entry.path, False
    for name in _MESSAGES:
        for entry in _entries(f"{here}/{name}"):
            if not entry.is_symlink() and not entry.is_dir():
                yield entry.path, f"{here}/{entry.name.partition(':')[0]}", True
    for path in inner:
        yield from _look(path)


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except (FileNotFoundError, NotADirectoryError):
        return


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink() and path.name[:1] != "."]
