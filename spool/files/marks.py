"""Marks in the folders of the home, by which a folder that is not mounted is told from one that is empty.

A mount point whose disk is away looks like a new folder: mail would be answered 250, stored there, and hidden under the
disk when that comes. So each folder has a file that names the installation, which the database knows, and the folder.
They are made once, at the first start; who accepts other folders, because a disk was replaced, says so by
`manage.py check --mark`.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from spool.files import claim
from spool.models.installation import Installation

FILE = ".mailspool"
SPOOL, MAILDIRS, DROP, KEYS, QUARANTINE = FOLDERS = ("spool", "maildirs", "drop", "keys", "quarantine")
_LONGEST_MARK = 200
# The installation that the database knows, "" when its folders were never marked; None: not asked yet.
_expected: str | None = None
# Marks that were right, by folder: which file it was.
_right: dict[str, tuple[int, int, int]] = {}


class NotOurFolder(OSError):
    """A folder of the home that has not our mark. `sentence` is for administrators; others see the system's word."""

    def __init__(self, sentence: str) -> None:
        super().__init__(errno.ENODEV, "the folder is not the one that it should be; is its disk mounted?")
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


def require(name: str) -> None:
    """Raise NotOurFolder when that folder is not marked as ours. It costs a stat(2); the database is asked once."""
    expected = _installation()
    if not expected:
        return
    try:
        # Once for each batch of mail: 4 µs, of which a Path would make 14.
        found = os.stat(f"{settings.HOME.root}/{name}/{FILE}")  # noqa: PTH116
        if _right.get(name) == (found.st_dev, found.st_ino, found.st_mtime_ns):
            return
    except OSError:
        found = None
    if sentence := _fault(name, expected):
        raise NotOurFolder(sentence)
    if found is not None:
        _right[name] = (found.st_dev, found.st_ino, found.st_mtime_ns)


def keys_wanted(sender: object, **_: object) -> None:
    """`require` as a receiver of signals: a key is to be made, in the folder of keys. Raises NotOurFolder."""
    require(KEYS)


def is_ours(name: str) -> bool:
    """Whether `require` has nothing to say."""
    try:
        require(name)
    except NotOurFolder:
        return False
    return True


def faults() -> list[str]:
    """A sentence for each folder that is not marked as ours; none as long as none was ever marked.

    Raises django.db.Error.
    """
    if not _expected:
        # The first start may have marked them since.
        forget()
    expected = _installation()
    if not expected:
        return []
    unmarked = [sentence for name in FOLDERS if (sentence := _fault(name, expected))]
    return unmarked or claim.faults()


def settle() -> list[str]:
    """At a start: mark the folders if that was never done. Returns the sentences of `faults`.

    Raises OSError, and django.db.Error. A first try that did not come to its end is gone on with by the next.
    """
    row, _ = Installation.objects.get_or_create(pk=1)
    if row.marked is None:
        strange = [sentence for name in FOLDERS if (sentence := _strange(name, str(row.identifier)))]
        if strange:
            return strange
        accept()
    forget()
    if not (missing := faults()):
        claim.settle()
        missing = faults()
    return missing


def accept(*, this_home: bool = False) -> list[Path]:
    """Mark all folders as ours, whatever is in them now; returns those that had not our mark. With `this_home` what
    belongs to this database is in this home from now on, wherever it was.

    Raises OSError, and django.db.Error.
    """
    row, _ = Installation.objects.get_or_create(pk=1)
    marked = [_path(name).parent for name in FOLDERS if _fault(name, str(row.identifier))]
    for folder in marked:
        _write(folder, str(row.identifier))
    first = row.marked is None
    if first:
        row.marked = timezone.now()
        row.save(update_fields=["marked"])
    # What was marked is this home's: without that no key is made.
    forget()
    claim.accept(this_home=this_home, first=first)
    forget()
    return marked


def forget(*, unmarked: bool = False) -> None:
    """Ask the database anew; with `unmarked`, take it that nothing was ever marked, without asking."""
    global _expected
    _expected = "" if unmarked else None
    _right.clear()
    claim.forget()


def _installation() -> str:
    global _expected
    if _expected is None:
        row = Installation.objects.filter(pk=1, marked__isnull=False).first()
        _expected = str(row.identifier) if row else ""
    return _expected


def _path(name: str) -> Path:
    root: Path = settings.HOME.root
    return root / name / FILE


def _text(name: str, identifier: str) -> str:
    return f"Mailspool {identifier} {name}\n"


def _fault(name: str, expected: str) -> str:
    folder = _path(name).parent
    found = _read(name)
    if found == _text(name, expected):
        return ""
    if found:
        return f"{folder} is {_of_whom(found, expected)}. {_WHAT_TO_DO}"
    if not folder.is_dir():
        return f"{folder} is missing: its disk is not mounted. {_WHAT_TO_DO}"
    return (
        f"{folder} has not this installation's mark ({FILE}): its disk is not mounted, or it is another. {_WHAT_TO_DO}"
    )


_WHAT_TO_DO = (
    "No mail is taken or delivered with it, so that none ends where nobody looks for it. Mount it; if this is the"
    " folder that is meant, say so with `manage.py check --mark`."
)


def _strange(name: str, expected: str) -> str:
    """What speaks against marking a folder for the first time: that somebody else has."""
    found = _read(name)
    return "" if found in ("", _text(name, expected)) else _fault(name, expected)


def _of_whom(found: str, expected: str) -> str:
    words = found.split()
    if len(words) == 3 and words[1] == expected:
        return f"marked as this installation's {words[2]}"
    return "marked as another installation's"


def _read(name: str) -> str:
    """What the mark says; empty without one."""
    try:
        with _path(name).open("rb") as file:
            return file.read(_LONGEST_MARK).decode("ascii", "replace") or "nothing"
    except OSError:
        return ""


def _write(folder: Path, identifier: str) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f"{FILE}.{os.getpid()}"
    draft.touch(mode=0o600)
    with draft.open("w") as file:
        file.write(_text(folder.name, identifier))
        file.flush()
        os.fsync(file.fileno())
    draft.rename(folder / FILE)
    for place in (folder, folder.parent):
        _sync(place)


def _sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
