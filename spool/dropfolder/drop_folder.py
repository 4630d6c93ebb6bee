"""The drop folder: an .eml moved into `<home>/drop/` enters the spool.

A file is claimed by renaming it to the name that its entry will have; so a crash between taking it in and removing it
can be told from one before: at the next look, a claimed file whose entry or trace exists is just removed.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from django.conf import settings as django_settings
from django.db import Error as DatabaseError
from django.db import close_old_connections

from base.file_locks import try_lock
from spool.dropfolder.dropped import Dropped, Unreadable, read_message
from spool.events import mail_log
from spool.files import marks, removal, store
from spool.flow import intake
from spool.message.summary import storable
from spool.models.settings import current
from spool.monitoring import programs
from spool.places import whereabouts

log = logging.getLogger(__name__)

BATCH = 100
# So much of a batch is in memory at once, one message at least.
BATCH_BYTES = 32 * 1024 * 1024
POLL_SECONDS = 1.0
# A file that still grows is being copied, not moved: it is left until it has been quiet for this long.
QUIET_SECONDS = 0.5
# What of a dropped file's name is kept, in bytes: a claimed file's has room for more before and after it.
LONGEST_NAME = 150
# Errors that say nothing about the file: there is too little of something for the moment.
_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
MOST_COUNTED = 10_000
_WORKING = ".working"
_REJECTED = "rejected"
_REASON = ".reason.txt"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that was set aside, or that some of its recipients did not get."""

    name: str
    reason: str


def watch(stop: threading.Event) -> None:
    """Take in what is dropped until `stop`. For a thread of its own."""
    while not stop.wait(POLL_SECONDS):
        try:
            close_old_connections()
            while not programs.is_draining() and take() == BATCH:
                pass
        except (intake.IntakeError, DatabaseError, OSError) as error:
            log.warning("the drop folder has to wait: %s", error)
        except Exception:  # the edge of the thread: it must not end before its process
            log.exception("a look into the drop folder failed")


def take() -> int:
    """One look: claim up to BATCH files and take them in; returns how many were dealt with.

    Raises IntakeError, OSError or django.db.Error when they can't be stored now; then they stay for the next look.
    """
    marks.require(marks.DROP)
    drop: Path = django_settings.HOME.drop
    working = drop / _WORKING
    for folder in (working, drop / _REJECTED):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(working) as first:
        if not first:
            return 0
        claimed = _forget_finished(sorted(working.iterdir()))
        claimed += _claim(drop, max(0, BATCH - len(claimed)))
        for some in _read(claimed):
            intake.accept([dropped.submission for _, dropped in some])
            for place, dropped in some:
                if dropped.refused:
                    _note(_original(place), f"it was taken, but not for everyone: {'; '.join(dropped.refused)}")
                removal.remove(place)
        return len(claimed)


def rejected() -> Iterator[Rejected]:
    """What was set aside and why, for the doctor."""
    folder: Path = django_settings.HOME.drop / _REJECTED
    if not folder.is_dir():
        return
    names = {os.fsdecode(path.name) for path in folder.iterdir()}
    for name in sorted({name.removesuffix(_REASON) for name in names}):
        reason = ""
        if f"{name}{_REASON}" in names:
            try:
                reason = (folder / f"{name}{_REASON}").read_text(errors="replace").strip()
            except OSError as error:
                reason = f"the reason can't be read: {error}"
        yield Rejected(_shown(name), reason or "no reason was recorded")


def count_rejected() -> int:
    """How many have a reason there, MOST_COUNTED at most. Raises nothing."""
    try:
        with os.scandir(django_settings.HOME.drop / _REJECTED) as files:
            return sum(file.name.endswith(_REASON) for file in islice(files, 2 * MOST_COUNTED))
    except OSError:
        return 0


@contextmanager
def _alone(working: Path) -> Iterator[bool]:
    """Whether no other process takes files from this folder meanwhile: its claims would look like a crash's."""
    descriptor = os.open(working, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield try_lock(descriptor)
    finally:
        os.close(descriptor)


def _claim(drop: Path, most: int) -> list[Path]:
    """Move dropped files to where nobody but us looks. Durable on return: a claim undone would be a second copy."""
    claimed = []
    for path in _dropped(drop)[:most]:
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                _reject(path, path.name, "it is not a regular file")
                continue
            name = os.fsdecode(os.fsencode(path.name)[-LONGEST_NAME:])
            place = drop / _WORKING / f"{store.new_file_names(1)[0].removesuffix('.eml')}~{name}"
            path.rename(place)
        except FileNotFoundError:
            # Whoever dropped it has taken it back.
            continue
        claimed.append(place)
    if claimed:
        for folder in (drop / _WORKING, drop):
            _sync(folder)
    return claimed


def _dropped(drop: Path) -> list[Path]:
    """Files to take, oldest first."""
    quiet = time.time() - QUIET_SECONDS
    found = []
    for path in drop.iterdir():
        if path.suffix.lower() == ".eml" and not path.name.startswith("."):
            try:
                changed = path.lstat().st_mtime
            except FileNotFoundError:
                continue
            if changed <= quiet:
                found.append((changed, path))
    return [path for _, path in sorted(found)]


def _forget_finished(claimed: list[Path]) -> list[Path]:
    """After a crash: remove claimed files that have become entries, return the others."""
    if not claimed:
        return []
    names = {f"{path.name.partition('~')[0]}.eml": path for path in claimed}
    for name in whereabouts.known(names):
        removal.remove(names.pop(name))
    return list(names.values())


def _read(claimed: list[Path]) -> Iterator[list[tuple[Path, Dropped]]]:
    """The claimed files as messages, so many at a time as memory may hold; those that are none are set aside."""
    some: list[tuple[Path, Dropped]] = []
    size = 0
    for place in claimed:
        try:
            dropped = read_message(_content(place))
        except FileNotFoundError:
            continue
        except Unreadable as error:
            _reject(place, _original(place), str(error))
            continue
        except (DatabaseError, OSError):
            raise
        except Exception as error:  # one file on which the program fails must not stop those behind it
            log.exception("a dropped file could not be read")
            _reject(place, _original(place), f"the program failed on it: {error!r}")
            continue
        dropped.submission.file_name = f"{place.name.partition('~')[0]}.eml"
        some.append((place, dropped))
        size += len(dropped.submission.content or b"")
        if size >= BATCH_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def _content(place: Path) -> bytes:
    """The file's bytes. Raises Unreadable when it is no regular file or too large; then nothing of it is read."""
    limit = current().max_message_bytes
    try:
        # Not followed, not waited for: what was a file a moment ago may be a link or a pipe now.
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unreadable("it is not a regular file")
            content = file.read(limit + 1) if os.fstat(descriptor).st_size <= limit else None
    except OSError as error:
        if isinstance(error, FileNotFoundError) or error.errno in _OURS:
            raise
        raise Unreadable(f"it can't be read: {error.strerror}") from error
    if content is None or len(content) > limit:
        raise Unreadable(f"it is larger than the limit of {limit} bytes")
    return content


def _reject(path: Path, name: str, reason: str) -> None:
    """Set a file aside with its reason beside it."""
    target = _free(name)
    path.rename(target)
    mail_log.write("refused", origin="drop", file=_shown(name), why=reason)
    _explain(target, f"{_shown(name)} was not taken into the spool: {reason}")


def _note(name: str, reason: str) -> None:
    """Leave a reason without a file."""
    mail_log.write("refused", origin="drop", file=_shown(name), why=reason)
    _explain(_free(name), f"{_shown(name)}: {reason}")


def _free(name: str) -> Path:
    """A path in the folder of rejected files that nothing has yet."""
    folder: Path = django_settings.HOME.drop / _REJECTED
    name = os.fsdecode(os.fsencode(name)[-LONGEST_NAME:])
    target = folder / name
    if os.path.lexists(target) or os.path.lexists(f"{target}{_REASON}"):
        target = folder / f"{secrets.token_hex(4)}-{name}"
    return target


def _explain(target: Path, text: str) -> None:
    log.warning("drop folder: %s", storable(text, 1000))
    target.with_name(f"{target.name}{_REASON}").write_text(f"{text}\n", errors="backslashreplace")


def _original(place: Path) -> str:
    return place.name.partition("~")[2]


def _shown(name: str) -> str:
    """A file's name, which may be any bytes, as one line of text."""
    return storable(os.fsencode(name).decode("utf-8", "replace"))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
