"""The message files: the only module that touches `<home>/spool/`.

A message is written to `incoming/` under a temporary name, synced, and renamed into a subspool, whose folder is synced
too. Its bytes are never changed afterwards. A file without a row is an orphan that the doctor finds: rows are
committed after files, and removed before them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from base.file_locks import try_lock
from spool.files import incoming, marks
from spool.message.envelope import Tail

SUFFIX = ".eml"
# How a disk says that it has no room.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# One more thread than the committer's own. Measured: with eight, each waited for the interpreter's lock after every
# call, and a batch of five files took five times as long as the disk needed for it.
SYNC_THREADS = 2
# File descriptors are for clients first.
MOST_OPEN = 64
# sync_file_range(2): start to write out, wait for nothing.
_SYNC_FILE_RANGE_WRITE = 2
# Crockford's base 32 sorts like the number that it spells.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(slots=True)
class PendingFile:
    """A file to be stored: its bytes, then those of `tail`; or a spilled file that already holds them.

    It is begun in the folder of unfinished files under its own name, or under that of `draft`.
    """

    file_name: str
    content: bytes | None
    spilled: Path | None
    tail: Tail | None = None
    draft: str = ""


def spool_root() -> Path:
    """The folder that holds the subspools."""
    return settings.HOME.spool


def path_of(subspool: str, file_name: str) -> Path:
    """Where a message is. Both parts come from our own rows; anything that could leave the spool is refused."""
    if "/" in subspool or "/" in file_name or subspool.startswith(".") or file_name.startswith("."):
        raise ValueError(f"not a place in the spool: {subspool!r} {file_name!r}")
    return spool_root() / subspool / file_name


def new_incoming() -> Path:
    """A fresh temporary name, for a message too large to be kept in memory while it arrives."""
    return incoming.path_for(new_file_names(1)[0])


def new_file_names(count: int) -> list[str]:
    """Names that sort by time and can't be guessed: 10 characters of milliseconds and 16 (80 bits) of chance."""
    stamp = _stamp(time.time_ns() // 1_000_000)
    chance = secrets.token_bytes(10 * count)
    return [f"{stamp}{_tail(chance[start : start + 10])}{SUFFIX}" for start in range(0, 10 * count, 10)]


def file_name_of(milliseconds: int, chance: bytes) -> str:
    """A name of the same form, for who must find the same name twice: `chance` has 10 bytes."""
    return f"{_stamp(milliseconds)}{_tail(chance)}{SUFFIX}"


def _stamp(milliseconds: int) -> str:
    return "".join(_ALPHABET[milliseconds >> shift & 31] for shift in range(45, -1, -5))


def _tail(chance: bytes) -> str:
    number = int.from_bytes(chance, "big")
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(75, -1, -5))


def free_bytes() -> int:
    """Disk space left for the spool, in bytes, as an ordinary user may use it."""
    return shutil.disk_usage(spool_root()).free


def unlink(path: Path) -> None:
    """Remove a message file whose row is gone; one that is missing already is no error."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def subspools() -> Iterator[str]:
    """The names of the subspools there are, in order."""
    return iter(sorted(e.name for e in os.scandir(spool_root()) if e.is_dir() and e.name.startswith("subspool")))


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable (fsync(2) on a directory)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Writer:
    """Writes batches of messages into a subspool that it alone holds. One per committing thread.

    A subspool takes `size` files at most; when it is full the writer looks for one with room, or opens a new one.
    `awaited` tells how many more messages will have their file in a subspool, should they come to rest.
    """

    def __init__(self, awaited: Callable[[str], int] = lambda subspool: 0) -> None:
        self._awaited = awaited
        self._folder: Path | None = None
        self._lock = -1
        self._room = 0
        self._pool = ThreadPoolExecutor(SYNC_THREADS, thread_name_prefix="sync")

    def begin(
        self, files: Sequence[PendingFile], size: int, *, beside: bool = False, others: int = 0
    ) -> tuple[str, Callable[[], None]]:
        """Begin to make `files` durable; returns the subspool that will hold them, and what waits until it does.

        Both may raise OSError, and then none of `files` is in a subspool. `size` is how many files a subspool may hold,
        `others` how many messages without a file yet are given a place in the same one.
        With `beside` all is done by other threads, otherwise a part of it by the one that waits. Call what waits before
        anything else of this writer.
        """
        marks.require(marks.SPOOL)
        folder = self._open_subspool(len(files) + others, size)
        self._room -= len(files) + others
        if not files:
            return folder.name, lambda: None
        threads = max(1, min(SYNC_THREADS, len(files) // 2))
        shares = [files[start::threads] for start in range(threads)]
        mine = [] if beside else shares.pop(0)
        begun = [self._pool.submit(_write_all, share, folder) for share in shares]

        def finish() -> None:
            try:
                _write_all(mine, folder)
                for done in begun:
                    done.result()
                # Without it a power cut can lose the name of a file whose bytes are safe.
                sync_folder(folder)
            except OSError:
                self._pool.shutdown(wait=True)
                self._pool = ThreadPoolExecutor(SYNC_THREADS, thread_name_prefix="sync")
                for file in files:
                    unlink(folder / file.file_name)
                # The next batch looks at all folders anew: one of them may have gone.
                self._release()
                raise

        return folder.name, finish

    def close(self) -> None:
        """Let another writer have the subspool."""
        self._pool.shutdown(wait=True)
        self._release()

    def _release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
        self._lock, self._folder, self._room = -1, None, 0

    def _open_subspool(self, wanted: int, size: int) -> Path:
        if self._folder is not None and self._room >= wanted and self._folder.is_dir():
            return self._folder
        if self._folder is not None and self._folder.is_dir():
            # Most of what was written has usually been delivered: what counts is how many are left.
            self._room = size - self._count(self._folder)
            if self._room >= max(wanted, size // 10):
                return self._folder
        self._release()
        incoming.prepare()
        for name in subspools():
            if self._take(spool_root() / name, wanted, size):
                break
        else:
            number = 1 + max((int(n.removeprefix("subspool")) for n in subspools() if n[8:].isdigit()), default=0)
            while not self._take(spool_root() / f"subspool{number:04}", wanted, size):
                number += 1
        assert self._folder is not None
        return self._folder

    def _take(self, folder: Path, wanted: int, size: int) -> bool:
        """Hold `folder` if no other writer does and it has room."""
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(folder.parent)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if not try_lock(lock) or (room := size - self._count(folder)) < wanted:
            os.close(lock)
            return False
        self._folder, self._lock, self._room = folder, lock, room
        return True

    def _count(self, folder: Path) -> int:
        return sum(1 for _ in os.scandir(folder)) + self._awaited(folder.name)


def write_all(messages: Sequence[tuple[str, str, bytes]]) -> None:
    """Have the file of each message, durable, where its row says: (subspool, file name, content).

    Whoever does so for the same message at the same time makes the same file. Raises OSError; what is written then
    stays, for its row does.
    """
    marks.require(marks.SPOOL)
    incoming.prepare()
    by_folder: dict[Path, list[PendingFile]] = {}
    for (subspool, file_name, content), draft in zip(messages, new_file_names(len(messages)), strict=True):
        folder = path_of(subspool, file_name).parent
        by_folder.setdefault(folder, []).append(PendingFile(file_name, content, None, draft=draft))
    for folder, files in by_folder.items():
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(folder.parent)
        _write_all(files, folder)
        sync_folder(folder)


def _write_all(files: Sequence[PendingFile], folder: Path) -> None:
    """Write, sync and rename each file; the folder itself is synced once for the batch by the caller."""
    for start in range(0, len(files), MOST_OPEN):
        _write_some(files[start : start + MOST_OPEN], folder)


def _write_some(files: Sequence[PendingFile], folder: Path) -> None:
    """All are on their way to the disk before the first is waited for: so syncs overlap, without a thread for each."""
    open_files: list[tuple[int, str, str]] = []
    target_folder = os.fspath(folder)
    try:
        for file in files:
            if file.spilled is None:
                # What a killed process has begun under a name that its caller keeps (the drop folder) is begun again.
                temporary, flags = os.fspath(incoming.path_for(file.draft or file.file_name)), os.O_CREAT | os.O_TRUNC
            else:
                temporary, flags = os.fspath(file.spilled), 0
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
            open_files.append((descriptor, temporary, f"{target_folder}/{file.file_name}"))
            if file.content is not None:
                _write_fully(descriptor, file.content)
            if file.tail is not None:
                _copy(file.tail, descriptor)
            if _sync_file_range is not None and len(files) > 1:
                # Its result does not matter: fsync waits, and tells of errors.
                _sync_file_range(descriptor, 0, 0, _SYNC_FILE_RANGE_WRITE)
        while open_files:
            descriptor, temporary, target = open_files[0]
            os.fsync(descriptor)
            os.rename(temporary, target)
            open_files.pop(0)
            os.close(descriptor)
    except OSError:
        for descriptor, temporary, _ in open_files:
            os.close(descriptor)
            unlink(Path(temporary))
        raise


def _find_sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """The call of Linux that Python has no name for; None elsewhere."""
    found = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if found is not None:
        found.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return found


_sync_file_range = _find_sync_file_range()


def _write_fully(descriptor: int, content: bytes) -> None:
    written = os.write(descriptor, content)
    while written < len(content):
        # A short write is how a nearly full disk answers; the next one says why.
        written += os.write(descriptor, content[written:])


def _copy(tail: Tail, descriptor: int) -> None:
    """Append the other message's bytes without taking them into memory. Raises OSError."""
    offset, end = tail.offset, tail.offset + tail.size_bytes
    with open(tail.path, "rb") as source:
        while offset < end:
            copied = os.sendfile(descriptor, source.fileno(), offset, end - offset)
            if copied == 0:
                raise OSError(errno.EIO, "the message is shorter than its size says", os.fspath(tail.path))
            offset += copied
