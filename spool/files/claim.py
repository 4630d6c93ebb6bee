"""Which spool folder has the message files of this database: one, whether one machine has it or many share it.

A worker that has another would look for files that are not there. So the folder has a number, which the database knows.
With MAILSPOOL_STORE=database a home may do without those files; with `files` it may not.
"""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path
from typing import Final

from django.conf import settings

from spool.models.content import IN_DATABASE
from spool.models.installation import Installation

FILE: Final = ".files"
# Where message files are kept, below the home.
_FOLDERS: Final = ("spool", "quarantine")
_LONGEST: Final = 100
# Whether this home has the files; None: not asked yet.
_here: bool | None = None


def has_files() -> bool:
    """Whether the files of this database's messages, if any have one, are in this home. The database is asked once."""
    global _here
    if _here is None:
        row = Installation.objects.filter(pk=1).first()
        _here = row is not None and row.files_in is not None and not _strange(str(row.files_in))
    return _here


def forget() -> None:
    """Ask the database anew."""
    global _here
    _here = None


def fault() -> str:
    """Why this home can't be worked with; empty when it can. Raises django.db.Error."""
    row = Installation.objects.filter(pk=1).first()
    if settings.MAILSPOOL_STORE == IN_DATABASE or row is None or row.files_in is None:
        return ""
    strange = _strange(str(row.files_in))
    if not strange:
        return ""
    where = " and ".join(str(folder) for folder in strange)
    return (
        f"The message files of this database are not in {where}, but in {row.files_at or 'another home'}. Machines that"
        " share a database share these folders too, or none of them: then all have MAILSPOOL_STORE=database"
        " (docs/machines.md). If those folders are gone for good and these are their copy, say so with"
        " `manage.py check --mark --files-here`."
    )


def settle() -> None:
    """At a start: have this home for the one with the files, if none is, and it has or will have some.

    Raises OSError and django.db.Error.
    """
    row, _ = Installation.objects.get_or_create(pk=1)
    if row.files_in is None and (settings.MAILSPOOL_STORE != IN_DATABASE or _has_subspools()):
        _claim(row)


def accept(*, files_here: bool) -> None:
    """After the folders were marked: those of the home that had the files may be new ones. With `files_here` they are,
    whatever home that was.

    Raises OSError and django.db.Error.
    """
    row, _ = Installation.objects.get_or_create(pk=1)
    if files_here or (row.files_in is not None and row.files_at == _place()):
        _claim(row)
    else:
        settle()
    forget()


def _claim(row: Installation) -> None:
    number = row.files_in or uuid.uuid4()
    if row.files_in is None and not Installation.objects.filter(pk=1, files_in=None).update(
        files_in=number, files_at=_place()
    ):
        # Another home was first.
        return
    for folder in _folders():
        _write(folder, str(number))
    Installation.objects.filter(pk=1).update(files_at=_place())
    forget()


def _strange(number: str) -> list[Path]:
    """The folders of this home that are not those."""
    return [folder for folder in _folders() if _read(folder) != number]


def _folders() -> list[Path]:
    return [Path(settings.HOME.root) / name for name in _FOLDERS]


def _place() -> str:
    return f"{socket.gethostname()}:{settings.HOME.root}"


def _has_subspools() -> bool:
    spool: Path = settings.HOME.spool
    return any(spool.glob("subspool*"))


def _read(folder: Path) -> str:
    try:
        with (folder / FILE).open("rb") as file:
            return file.read(_LONGEST).decode("ascii", "replace").strip()
    except OSError:
        return ""


def _write(folder: Path, number: str) -> None:
    if _read(folder) == number:
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f"{FILE}.{os.getpid()}"
    with draft.open("w") as file:
        file.write(f"{number}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(folder / FILE)
