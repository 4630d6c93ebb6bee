"""Removing message files, and keeping them for a backup that still needs them.

Rows are removed before files. So whoever makes a folder `.kept` first, and looks at the rows then, has the file of each
row that it saw: at its place, or kept. While there is no such folder, as nearly always, a removal pays for one rename
that fails. The folder is beside the folder that the file is in: on the same disk, and known without asking anybody.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

FOLDER = ".kept"


def remove(path: Path) -> None:
    """Remove a message file whose row is gone, or keep it. One that is missing already is no error."""
    place = os.fspath(path)
    try:
        os.rename(place, kept_place(place))
        return
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno == errno.EXDEV:
            # A folder on a disk of its own: the file stays, and is found as a leftover when the backup is over.
            return
        # A full disk needs its room more than a backup, which will miss the file and say so.
    try:
        os.unlink(place)
    except FileNotFoundError:
        pass


def kept_place(place: str) -> str:
    """Where the file at `place` is kept."""
    folder, name = os.path.split(place)
    return f"{os.path.dirname(folder)}/{FOLDER}/{name}"
