"""Has removed message files kept while a backup runs (spool.files.removal), and lets them go.

A lock file says that a backup is there. What one that was killed has left is removed by the next sweep of the
scheduler, or by the next backup.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from django.conf import settings as django_settings

from base.file_locks import try_lock
from mailspool.backup.errors import BackupError
from mailspool.home import Home
from quarantine.models.item import ItemKind, root
from spool.files import removal

log = logging.getLogger(__name__)

_ENDING = f"{removal.FOLDER}-ending"
_CHUNK = 1_000
PRUNE_SECONDS = 2.0


@contextlib.contextmanager
def alone(home: Home, patience_seconds: float = 3.0) -> Iterator[None]:
    """Makes sure that no other backup or restore works in the home. Raises BackupError."""
    descriptor = os.open(home.backup_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + patience_seconds
        # The sweep may just be looking.
        while not try_lock(descriptor):
            if time.monotonic() > deadline:
                raise BackupError(f"Another backup or restore is running in {home.root}: wait until it has ended.")
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


class Keeping:
    """From entering to leaving, no file that a row of the database may still name is removed for good."""

    def __init__(self, home: Home) -> None:
        self._folders = _folders(home)
        self._pruned = time.monotonic()

    def __enter__(self) -> Keeping:
        for folder in self._folders:
            # What a killed backup has kept is of no use to this one.
            _clear(folder)
            folder.mkdir(mode=0o700, exist_ok=True)
        return self

    def __exit__(self, *exception: object) -> None:
        for folder in self._folders:
            _clear(folder)

    def prune(self, needed: Callable[[Collection[str]], Collection[str]], *, at_once: bool = False) -> None:
        """Let go of kept messages but those `needed` says of their names; seldom enough to be called often."""
        if not at_once and time.monotonic() - self._pruned < PRUNE_SECONDS:
            return
        # What was dropped has no names that are known: it stays until the end.
        for folder in self._folders[1:]:
            names = os.listdir(folder)
            for start in range(0, len(names), _CHUNK):
                some = names[start : start + _CHUNK]
                for name in set(some).difference(needed(some)):
                    (folder / name).unlink(missing_ok=True)
        self._pruned = time.monotonic()


def sweep() -> None:
    """Remove what a backup that was killed has kept, and its work. The scheduler calls it every few seconds."""
    home: Home = django_settings.HOME
    left = [folder for folder in _folders(home, make=False) if folder.exists() or folder.with_name(_ENDING).exists()]
    if not left:
        return
    with contextlib.suppress(BackupError), alone(home, patience_seconds=0.0):
        for folder in left:
            _clear(folder)
        log.warning("a backup has ended before it was finished; the files that were kept for it are removed")


def _folders(home: Home, *, make: bool = True) -> list[Path]:
    """The drop folder's first, then those of the spool and of each quarantine. Raises BackupError."""
    for folder in (home.drop, home.spool):
        if make and not folder.is_dir():
            raise BackupError(f"There is no folder {folder}: is it mounted, and is MAILSPOOL_HOME right?")
    quarantines = [root() / kind for kind in ItemKind.values]
    for folder in quarantines:
        if make:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [folder / removal.FOLDER for folder in (home.drop, home.spool, *quarantines)]


def _clear(folder: Path) -> None:
    """Have nothing kept in `folder` from now on, and remove what was."""
    ending = folder.with_name(_ENDING)
    # A clearing that was killed.
    _empty(ending)
    try:
        folder.rename(ending)
    except FileNotFoundError:
        return
    _empty(ending)


def _empty(folder: Path) -> None:
    while True:
        try:
            for name in os.listdir(folder):
                (folder / name).unlink(missing_ok=True)
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            # A removal that had looked for the folder under its old name may just have come in.
            if error.errno != errno.ENOTEMPTY:
                raise
        else:
            return
