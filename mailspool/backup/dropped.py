"""What waits in the drop folder: mail that somebody handed over, and that has no rows yet.

On its way a file is renamed: claimed, under the name that its entry will have, and removed when that entry is there. So
it is looked for in the order of that way, and known again by its inode. A claimed file whose entry the snapshot has is
left out: it would come in a second time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from mailspool.backup.disk import open_regular
from mailspool.backup.maildirs import Found
from mailspool.backup.snapshot import ALIAS
from mailspool.home import Home
from quarantine.models.item import Item
from spool.files import removal
from spool.models.entry import Entry
from spool.models.trace import Trace
from spool.models.trashed import Trashed

_WORKING: Final = ".working"
_CHUNK: Final = 500


def taken_in(home: Home) -> set[str]:
    """Claimed files that the snapshot knows as messages, by name; ALIAS can be asked now.

    Whatever is claimed later came into the spool after the snapshot.
    """
    found: set[str] = set()
    names = (name for folder in (_WORKING, removal.FOLDER) for name in _names(home.drop / folder))
    while some := list(islice(names, _CHUNK)):
        by_message = {f"{name.partition('~')[0]}.eml": name for name in some}
        for model in (Entry, Trashed, Item, Trace):
            known = model._default_manager.using(ALIAS).filter(file_name__in=by_message)
            found.update(by_message[name] for name in known.values_list("file_name", flat=True))
    return found


def files(home: Home, taken: set[str]) -> Iterator[Found]:
    """Each file that waits, once."""
    seen: set[tuple[int, int]] = set()
    for folder, kept_as in (("", ""), (_WORKING, _WORKING), (removal.FOLDER, _WORKING), ("rejected", "rejected")):
        for name in _names(home.drop / folder):
            if name in taken or name.startswith("."):
                continue
            try:
                file = open_regular(home.drop / folder / name)
            except FileNotFoundError:
                # On its way; where that leads is looked at next.
                continue
            if file is None:
                continue
            with file:
                status = os.fstat(file.fileno())
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    path = str(Path("drop") / kept_as / name)
                    yield Found(path, file, status.st_size, status.st_mtime_ns, False)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
