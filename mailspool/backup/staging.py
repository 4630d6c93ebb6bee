"""Files on their way into an installation: first all of them beside their places, then each to its place by a rename.

They are staged below the folder that they belong to, `<home>/spool/.restore/…`, for that may be on a disk of its own.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from mailspool.backup import pool
from mailspool.backup.disk import make_folder, sync_all_below
from mailspool.backup.manifest import TOPS
from mailspool.home import Home

FOLDER: Final = ".restore"


class Taker(Protocol):
    """Who gets the files of a backup."""

    def take(self, path: str, content: BinaryIO, mtime: int) -> tuple[str, int]:
        """Take one; its SHA-256 and its size, of what was really read."""
        ...


class Looking:
    """Only reads."""

    def take(self, path: str, content: BinaryIO, mtime: int) -> tuple[str, int]:
        return pool.digest_of(content)


class Staging:
    """Puts them where nobody looks. Nothing of the installation is touched before `place`."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._made: set[str] = set()
        self.clear()

    def take(self, path: str, content: BinaryIO, mtime: int) -> tuple[str, int]:
        target = self._staged(path)
        folder = os.path.dirname(target)
        if folder not in self._made:
            make_folder(Path(folder))
            self._made.add(folder)
        written = pool.copy(content, Path(target))
        if mtime:
            os.utime(target, ns=(mtime, mtime))
        return written

    def database(self, name: str) -> Path:
        """The database's file."""
        return Path(self._staged(name))

    def drop(self, path: str) -> None:
        """Leave out a file that is damaged."""
        Path(self._staged(path)).unlink(missing_ok=True)

    def sync(self) -> None:
        """Have all of it on the disk. Raises OSError."""
        for folder in self._folders():
            sync_all_below(folder)

    def place(self) -> None:
        """Move everything to where it belongs; again and again to the same effect, after a kill."""
        for top in TOPS:
            folder = self._home.root / top / FOLDER
            if folder.is_dir():
                _merge(folder, self._home.root / top)
                sync_all_below(self._home.root / top)

    def clear(self) -> None:
        """Remove what is staged."""
        for folder in self._folders():
            shutil.rmtree(folder)

    close = clear

    def _folders(self) -> list[Path]:
        found = [self._home.root / FOLDER, *(self._home.root / top / FOLDER for top in sorted(TOPS))]
        return [folder for folder in found if folder.is_dir()]

    def _staged(self, path: str) -> str:
        top, slash, rest = path.partition("/")
        return f"{self._home.root}/{top}/{FOLDER}/{rest}" if slash else f"{self._home.root}/{FOLDER}/{path}"


def _merge(source: Path, target: Path) -> None:
    for entry in list(os.scandir(source)):
        place = target / entry.name
        if entry.is_dir(follow_symlinks=False) and place.is_dir():
            _merge(Path(entry.path), place)
        else:
            os.replace(entry.path, place)
    source.rmdir()
