"""Who may look into the home: its owner, and nobody else. Mended at every start, and looked at by `check`."""

from __future__ import annotations

import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from mailspool.home import Home

OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def name_of(uid: int) -> str:
    """A user, for people."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def open_to_others(home: Home) -> list[Path]:
    """What of the home group or others may read, write or enter: its folders, keys and database."""
    return [path for path in _private(home) if _mode(path) & OF_OTHERS]


def mend(home: Home) -> list[str]:
    """Close what is open to others; returns a sentence for each, also for what could not be closed."""
    return [_closed(path) for path in open_to_others(home)]


def _closed(path: Path) -> str:
    mode = _mode(path)
    try:
        path.chmod(mode & ~OF_OTHERS)
    except OSError as error:
        return f"{path} is open to others (mode {mode:04o}) and could not be closed: {error.strerror}."
    return f"{path} was open to others (mode {mode:04o}): closed, now {mode & ~OF_OTHERS:04o}."


def _private(home: Home) -> Iterator[Path]:
    yield from home.folders
    yield from (path for path in home.root.glob(f"{home.database.name}*") if path.is_file())
    try:
        yield from (path for path in home.keys.iterdir() if path.is_file())
    except OSError:
        return


def _mode(path: Path) -> int:
    """Its permissions; none for what is not there."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
