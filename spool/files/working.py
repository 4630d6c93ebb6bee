"""Copies on this machine of messages whose content is in rows: for as long as somebody here works on them.

Each pass has a folder in `<home>/working/`, locked as long as it lives; what the dead left there goes when the next one
begins. Nothing here is synced, or missed by anybody: the rows are the message.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from base.file_locks import try_lock
from spool.files import store
from spool.message.held import Held, Source


def folder() -> Path:
    """Where such copies are, also nameless ones."""
    place: Path = settings.HOME.working
    place.mkdir(mode=0o700, exist_ok=True)
    return place


class Copies:
    """Those of one pass, which is `owner`. Its folder is made with the first of them."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._place: Path | None = None
        self._lock = -1
        self._turn = threading.Lock()

    def keep(self, file_name: str, pieces: Iterable[bytes]) -> Path:
        """Have a copy made of `pieces`; where it is. Raises OSError, and what `pieces` raises; then there is none."""
        path = self._folder() / file_name
        try:
            with path.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
        except BaseException:
            store.unlink(path)
            raise
        return path

    def close(self) -> None:
        """Remove them all."""
        if self._place is not None:
            shutil.rmtree(self._place, ignore_errors=True)
            os.close(self._lock)
            self._place, self._lock = None, -1

    def _folder(self) -> Path:
        with self._turn:
            if self._place is None:
                clear()
                place = folder() / self._owner
                while not self._have(place):
                    continue
                self._place = place
            return self._place

    def _have(self, place: Path) -> bool:
        """Make the folder and lock it; False when somebody took it for one of the dead before it was locked."""
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            self._lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        if try_lock(self._lock) and os.fstat(self._lock).st_nlink:
            return True
        os.close(self._lock)
        return False


def clear() -> None:
    """Remove what passes have left that are no more."""
    for path in folder().iterdir():
        try:
            lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            if try_lock(lock):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else store.unlink(path)
        finally:
            os.close(lock)


@contextmanager
def as_file(source: Source, file_name: str) -> Iterator[Path]:
    """The message as a file that can be read under its path: a copy, where it has none. Raises as `source` does."""
    if isinstance(source, Path):
        yield source
        return
    copies = Copies(f"{os.getpid()}.{store.new_file_names(1)[0]}")
    try:
        yield copies.keep(file_name, [source.content] if isinstance(source, Held) else source.pieces())
    finally:
        copies.close()
