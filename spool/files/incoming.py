"""The folders in which message files are begun: `incoming/0` to `incoming/f` in the spool.

ext4 gives a new file an inode near its folder, and one without a journal passes over each inode there that was freed
a few seconds ago: with one folder for all, creating a file took 0.65 ms of a busy spool's time, with these 0.05. To be
far from each other on the disk they need a parent that counts as a top of hierarchies (chattr(1), T). The subspools
don't matter: a file that is renamed into one keeps its inode.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from spool.files import marks

log = logging.getLogger(__name__)

NAMES = "0123456789abcdef"
SUFFIX = ".tmp"


def folder() -> Path:
    """The parent of all of them."""
    return settings.HOME.spool / "incoming"


def path_for(file_name: str) -> Path:
    """Where the file of that name is begun; always the same place, so that what was begun before can be found."""
    # One Path of a whole text: three steps by `/` take five times as long, for each message.
    return Path(f"{settings.HOME.spool}/incoming/{_place(file_name)}/{file_name}{SUFFIX}")


def _place(file_name: str) -> str:
    stem = file_name.partition(".")[0]
    return NAMES[ord(stem[-1]) % len(NAMES)] if stem else NAMES[0]


def prepare() -> None:
    """Make the folders that are missing. Raises OSError."""
    parent = folder()
    missing = [parent / name for name in NAMES if not (parent / name).is_dir()]
    if not missing:
        return
    marks.require(marks.SPOOL)
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _spread_below(parent)
    for path in missing:
        path.mkdir(mode=0o700, exist_ok=True)


def files() -> Iterator[Path]:
    """What is being written, or was left by a killed process."""
    if folder().is_dir():
        yield from sorted(path for path in folder().rglob("*") if path.is_file())


def _spread_below(parent: Path) -> None:
    """Ask the file system to place the folders in `parent` apart. One that can't does without."""
    try:
        done = subprocess.run(["chattr", "+T", "--", parent], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.debug("the incoming folders could not be spread: %s", error)
    else:
        if done.returncode:
            log.debug("the incoming folders could not be spread: %s", done.stderr.decode(errors="replace").strip())
