"""How much is in the mailboxes that have a limit: counted at most once a minute each, and kept up to date meanwhile.

The sizes in the names of Maildir files make counting a matter of listing folders; only files that another program
named are asked for their size.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from base.expiring import ExpiringDict

FRESH_SECONDS: Final = 60.0
_MOST_KEPT: Final = 100_000
_SIZE: Final = re.compile(r",S=(\d+)")
_lock = threading.Lock()


@dataclass(slots=True)
class _Usage:
    size_bytes: int


_kept: ExpiringDict[Path, _Usage] = ExpiringDict(FRESH_SECONDS, _MOST_KEPT)


def reserve(folder: Path, size_bytes: int, limit_bytes: int) -> bool:
    """Count `size_bytes` more into the Maildir `folder`, unless that would pass the limit. Raises OSError."""
    usage = _kept.get(folder)
    if usage is None:
        # Counting can take a while in a large mailbox: not under the lock.
        counted = _Usage(sum(_sizes(folder)))
        with _lock:
            # Another thread may have counted meanwhile.
            usage = _kept.get(folder) or _kept.keep(folder, counted)
    with _lock:
        if usage.size_bytes + size_bytes > limit_bytes:
            return False
        usage.size_bytes += size_bytes
        return True


def release(folder: Path, size_bytes: int) -> None:
    """Take back a reservation: nothing was stored."""
    with _lock:
        usage = _kept.get(folder)
        if usage is not None:
            usage.size_bytes = max(0, usage.size_bytes - size_bytes)


def forget() -> None:
    """Count afresh at the next reservation."""
    _kept.clear()


def _sizes(folder: Path) -> Iterator[int]:
    """The sizes of all messages in a Maildir and its Maildir++ subfolders, in bytes."""
    try:
        with os.scandir(folder) as entries:
            subfolders = [Path(e.path) for e in entries if e.name.startswith(".") and e.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    for place in (folder, *subfolders):
        for name in ("new", "cur"):
            yield from _sizes_in(place / name)


def _sizes_in(folder: Path) -> Iterator[int]:
    try:
        with os.scandir(folder) as files:
            for file in files:
                found = _SIZE.search(file.name)
                if found:
                    yield int(found[1])
                    continue
                try:
                    yield file.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    # Moved from new/ to cur/ by a mail program just now, or deleted.
                    continue
    except FileNotFoundError:
        return
