"""Which home has what belongs to this database: message files, mailboxes, and the key of what is sealed.

There is one of each, whether one machine has it or many share it. A worker that had others would look for files that
are not there, store mail where nobody reads it, or log in nowhere. So the folders have a number, which the database
knows, and it knows the key too. With MAILSPOOL_STORE=database a home may do without message files; with `files` it may
not.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.conf import settings

from accounts.models import Domain
from base import sealed
from spool.models.content import IN_DATABASE
from spool.models.installation import Installation
from spool.models.settings import Settings

FILE: Final = ".files"
# Where message files and mailboxes are, below the home.
_MESSAGES: Final = ("spool", "quarantine")
_MAILDIRS: Final = ("maildirs",)
_LONGEST: Final = 100
_OR_HERE: Final = "say so with `manage.py check --mark --this-home`"
# Whether this home has the message files; None: not asked yet.
_here: bool | None = None


def has_files() -> bool:
    """Whether the files of this database's messages, if any have one, are in this home. The database is asked once."""
    global _here
    if _here is None:
        row = Installation.objects.filter(pk=1).first()
        _here = row is not None and row.files_in is not None and not _strange(_MESSAGES, row)
    return _here


def forget() -> None:
    """Ask the database anew."""
    global _here
    _here = None


def faults() -> list[str]:
    """Why this home can't be worked with; nothing when it can. Raises django.db.Error."""
    row = Installation.objects.filter(pk=1).first()
    return list(_faults(row)) if row is not None else []


def _faults(row: Installation) -> Iterator[str]:
    elsewhere = row.files_at or "another home"
    if row.sealed_with and sealed.key_digest() != row.sealed_with:
        yield (
            f"{settings.HOME.keys}/credentials.key is not the key that stored passwords and DKIM keys are sealed with:"
            f" copy the folder keys of {elsewhere} here (docs/machines.md). If that key is lost for good, {_OR_HERE},"
            " and enter the passwords anew."
        )
    if settings.MAILSPOOL_STORE != IN_DATABASE and (strange := _strange(_MESSAGES, row)):
        yield (
            f"The message files of this database are not in {' and '.join(map(str, strange))}, but in {elsewhere}."
            " Machines that share a database share these folders too, or none of them: then all have"
            " MAILSPOOL_STORE=database (docs/machines.md). If those folders are gone for good and these are their copy,"
            f" {_OR_HERE}."
        )
    if (strange := _strange(_MAILDIRS, row)) and Domain.objects.exists() and Settings.load().local_store == "maildir":
        yield (
            f"The mailboxes of users here are not in {strange[0]}, but in {elsewhere}: what is delivered into these is"
            " read by nobody there. Mount that folder here, or have mail for users here go by LMTP (local_store in"
            f" Settings; docs/machines.md). If it is gone for good, {_OR_HERE}."
        )


def settle(*, first: bool = False) -> None:
    """At a start: have this home for the one with the files and the key, if none is. With `first`, none ever was.

    A later one that keeps its messages in the database may be the second home of an installation whose first has them.
    Raises OSError and django.db.Error.
    """
    row, _ = Installation.objects.get_or_create(pk=1)
    if row.files_in is None and (first or settings.MAILSPOOL_STORE != IN_DATABASE or _has_subspools()):
        _claim(row)
    ours = Installation.objects.filter(pk=1, files_at=_place(), sealed_with="")
    if ours.exists():
        sealed.make_key()
        ours.update(sealed_with=sealed.key_digest())


def accept(*, this_home: bool, first: bool) -> None:
    """After the folders were marked: those of the home that had the files may be new ones. With `this_home` they are,
    whatever home that was.

    Raises OSError and django.db.Error.
    """
    row, _ = Installation.objects.get_or_create(pk=1)
    if this_home or (row.files_in is not None and row.files_at == _place()):
        _claim(row)
    elif first:
        settle(first=True)
    forget()


def _claim(row: Installation) -> None:
    number = row.files_in or uuid.uuid4()
    if row.files_in is None and not Installation.objects.filter(pk=1, files_in=None).update(files_in=number):
        # Another home was first.
        return
    for folder in _folders(_MESSAGES + _MAILDIRS):
        _write(folder, str(number))
    Installation.objects.filter(pk=1).update(files_at=_place(), sealed_with=sealed.key_digest())
    forget()


def _strange(names: tuple[str, ...], row: Installation) -> list[Path]:
    """The folders of this home that are not those."""
    return [folder for folder in _folders(names) if row.files_in is not None and _read(folder) != str(row.files_in)]


def _folders(names: tuple[str, ...]) -> list[Path]:
    return [Path(settings.HOME.root) / name for name in names]


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
    draft.touch(mode=0o600)
    with draft.open("w") as file:
        file.write(f"{number}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(folder / FILE)
