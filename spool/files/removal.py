"""Removing message files, and keeping them for a backup that still needs them.

Rows are removed before files. So whoever makes a folder `.kept` first, and looks at the rows then, has the file of each
row that it saw: at its place, or kept. While there is no such folder, as nearly always, a removal pays for one rename
that fails. The folder is beside the folder that the file is in: on the same disk, and known without asking anybody.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from spool.files import store

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
    store.unlink(path)


def remover() -> Callable[[Path], None]:
    """`remove` for many, whose rows are gone and committed by now. It looks for the folder once.

    One that is not there now will be made by somebody who does not see those rows any more.
    """
    is_there: dict[str, bool] = {}

    def remove_one(path: Path) -> None:
        folder = os.path.dirname(path)
        keeps = is_there.get(folder)
        if keeps is None:
            keeps = is_there[folder] = os.path.lexists(f"{os.path.dirname(folder)}/{FOLDER}")
        if keeps:
            remove(path)
        else:
            store.unlink(path)

    return remove_one


def kept_place(place: str) -> str:
    """Where the file at `place` is kept."""
    folder, name = os.path.split(place)
    return f"{os.path.dirname(folder)}/{FOLDER}/{name}"
