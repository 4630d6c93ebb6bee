"""Mail as files: one Maildir per mailbox, at `<home>/maildirs/<domain>/<local part>/`.

Line ends are stored as LF, as mail servers on Unix do and as Dovecot expects; IMAP servers make CRLF of them again.
The name of a file follows from the entry and the recipient, so a delivery that is repeated after a crash replaces the
file it made before, or finds it in `cur/`, and the owner gets the message once.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from django.conf import settings

from spool.delivery.local import mailbox_usage
from spool.delivery.trace_headers import without_fields
from spool.files import marks
from spool.files.store import sync_folder
from spool.message.held import Source

# A Maildir++ folder beside the inbox, as Dovecot names it.
JUNK: Final = ".Junk"
# Measured: eight threads sync more than twice as many files a second as one; more gain nothing.
SYNC_THREADS: Final = 8
# Larger messages are copied in pieces, once for each mailbox, instead of being kept in memory.
LARGE_BYTES: Final = 1024 * 1024
_PIECE_BYTES: Final = 256 * 1024
# What a killed delivery leaves in tmp/ is of no use to anyone after this time (the Maildir convention).
_STALE_SECONDS: Final = 36 * 3600
_LONGEST_NAME: Final = 200
_MOST_PREPARED: Final = 100_000
_UNSAFE: Final = re.compile(rb"[^a-z0-9.+_=-]")
_SUBJECT: Final = re.compile(rb"^subject[ \t]*:([^\n]*)", re.IGNORECASE | re.MULTILINE)
_HEADER_END: Final = re.compile(rb"(?:^|\n)\r?\n")
_HOST_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.-]")
_counter = itertools.count()
_prepared: set[str] = set()


class MessageGone(Exception):
    """The entry's message file is not in the spool."""


class MailboxFull(Exception):
    """The message would take the mailbox over its limit."""


@dataclass(slots=True)
class Copy:
    """A message on its way into one mailbox. `limit_bytes` 0 means no limit; `header` has CRLF line ends.

    `subject_prefix` is put before the subject of this copy, and the `omitted` fields of its header are left out.
    """

    source: Source
    size_bytes: int
    folder: Path
    unique: str
    header: bytes
    created: float
    limit_bytes: int = 0
    subject_prefix: bytes = b""
    omitted: frozenset[bytes] = frozenset()


@dataclass(slots=True)
class Stored:
    """What became of a copy: it is safe in its mailbox when `error` is None. `was_there` says it had been before."""

    seconds: float
    was_there: bool = False
    error: MessageGone | MailboxFull | OSError | None = None


def folder_of(address: str) -> Path:
    """The Maildir of a normalised address. Different addresses have different folders, all inside the root."""
    local_part, _, domain = address.rpartition("@")
    return settings.HOME.maildirs / _safe_name(domain) / _safe_name(local_part)


def _safe_name(part: str) -> str:
    """`part` as a file name: percent-encoded but for a few characters, so that `..`, `/` and NUL are only text."""
    raw = part.encode("utf-8", "surrogatepass")
    name = _UNSAFE.sub(lambda found: b"%%%02x" % found[0][0], raw).decode("ascii")
    if name.startswith("."):
        name = f"%2e{name[1:]}"
    if len(name) > _LONGEST_NAME or not name:
        # "%%" is nothing that encoding makes, so no other name looks like this one.
        return f"{name[:100]}%%{hashlib.sha256(raw).hexdigest()}"
    return name


def unique_name(file_name: str, recipient_id: int, created: datetime, address: str) -> str:
    """The part of a Maildir name that identifies the message: the same at every try, on whichever machine.

    Seconds and microseconds are where Dovecot looks for the order of mail that came in together.
    """
    host = _HOST_UNSAFE.sub("_", address.rpartition("@")[2])
    stem = file_name.partition(".")[0]
    return f"{int(created.timestamp())}.M{created.microsecond}R{recipient_id}Q{stem}.{host}"


def store(copies: Sequence[Copy]) -> list[Stored]:
    """Put each copy into the `new/` of its mailbox, durably; one sync of a folder per mailbox.

    Never raises for what the disk does: that is in the answers. Copies of one message should stand together.
    """
    try:
        marks.require(marks.MAILDIRS)
    except marks.NotOurFolder as error:
        return [Stored(0.0, error=error) for _ in copies]
    read = {folder: _moved_to_cur(folder, since) for folder, since in _oldest(copies).items()}
    threads = min(SYNC_THREADS, len(copies))
    if threads <= 1:
        answers = _store_share(copies, read)
    else:
        size = -(-len(copies) // threads)
        shares = [copies[start : start + size] for start in range(0, len(copies), size)]
        work = [_pool().submit(_store_share, share, read) for share in shares]
        answers = [answer for done in work for answer in done.result()]
    _sync_new(copies, answers)
    return answers


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(SYNC_THREADS, thread_name_prefix="maildir")


# A child process has the pool's memory but not its threads.
os.register_at_fork(after_in_child=_pool.cache_clear)


def _oldest(copies: Sequence[Copy]) -> dict[Path, float]:
    oldest: dict[Path, float] = {}
    for copy in copies:
        oldest[copy.folder] = min(copy.created, oldest.get(copy.folder, copy.created))
    return oldest


def _moved_to_cur(folder: Path, since: float) -> frozenset[str]:
    """The unique names in `cur/`, where a mail program puts what it has seen.

    Only looked at when something has come there since the oldest message of the batch came in (seconds since 1970):
    otherwise none of them can be there, and a large mailbox is not worth listing for each delivery.
    """
    current = folder / "cur"
    try:
        # A second of slack for the coarse clock of file systems.
        if current.stat().st_mtime + 1 < since:
            return frozenset()
        with os.scandir(current) as files:
            return frozenset(file.name.partition(":")[0].partition(",")[0] for file in files)
    except OSError:
        # Not there yet, or not readable: then storing says so.
        return frozenset()


def _store_share(share: Sequence[Copy], read: Mapping[Path, frozenset[str]]) -> list[Stored]:
    """Write, sync and rename each copy, keeping the bytes of the message while its copies follow each other."""
    answers = []
    kept: tuple[Source, bytes] | None = None
    for copy in share:
        started = time.monotonic()
        answer = Stored(0)
        try:
            if copy.unique in read[copy.folder]:
                answer.was_there = True
            else:
                if copy.size_bytes <= LARGE_BYTES and (kept is None or kept[0] != copy.source):
                    kept = (copy.source, _read(copy.source))
                _store_one(copy, kept[1] if kept is not None and kept[0] == copy.source else None)
        except (MessageGone, MailboxFull, OSError) as error:
            answer.error = error
        answer.seconds = time.monotonic() - started
        answers.append(answer)
    return answers


def _read(source: Source) -> bytes:
    """A small message with LF line ends."""
    try:
        return source.read_bytes().replace(b"\r\n", b"\n")
    except FileNotFoundError as error:
        raise MessageGone(str(error.filename)) from error


def _store_one(copy: Copy, body: bytes | None) -> None:
    if copy.limit_bytes and not mailbox_usage.reserve(copy.folder, copy.size_bytes, copy.limit_bytes):
        raise MailboxFull
    try:
        _prepare_once(copy.folder)
        try:
            _write(copy, body)
        except FileNotFoundError:
            # Somebody has removed the mailbox since; the next mail makes a new one.
            _prepared.discard(os.fspath(copy.folder))
            _prepare_once(copy.folder)
            _write(copy, body)
    except (MessageGone, OSError):
        if copy.limit_bytes:
            mailbox_usage.release(copy.folder, copy.size_bytes)
        raise


def _write(copy: Copy, body: bytes | None) -> None:
    # Two workers may deliver the same copy at once, when the lease of the first has lapsed: each has its own file.
    temporary = copy.folder / "tmp" / f"{copy.unique}.{os.getpid()}_{next(_counter)}"
    header = copy.header.replace(b"\r\n", b"\n")
    try:
        with open(temporary, "xb", opener=_private) as file:
            file.write(header)
            if body is None:
                size, extra = _copy_pieces(copy, file)
            else:
                if copy.omitted:
                    body = without_fields(body, copy.omitted)
                if copy.subject_prefix:
                    body = prefixed(body, copy.subject_prefix)
                file.write(body)
                size, extra = len(body), _added_by_crlf(body)
            file.flush()
            os.fsync(file.fileno())
        # Dovecot takes both sizes from the name, the second as IMAP counts: with CRLF.
        size += len(header)
        wide = size + extra + header.count(b"\n")
        name = f"{copy.unique},S={size},W={wide}"
        temporary.rename(copy.folder / "new" / name)
    except (MessageGone, OSError):
        _unlink_quietly(temporary)
        raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _unlink_quietly(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        # The first failure is the one to tell; what is left in tmp/ is swept later.
        return


def _added_by_crlf(stored: bytes) -> int:
    """How many bytes longer `stored` is when each line ends in CRLF."""
    return stored.count(b"\n") - stored.count(b"\r\n")


def _copy_pieces(copy: Copy, target: BinaryIO) -> tuple[int, int]:
    """Copy a large message with LF line ends; returns its size and what CRLF would add, in bytes."""
    size = extra = 0
    is_first = True
    held = b""
    try:
        with copy.source.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                piece = held + piece
                # A line end may be cut in two, and so may the CR CR LF that a broken client sends.
                cut = len(piece.rstrip(b"\r"))
                piece, held = piece[:cut], piece[cut:]
                piece = piece.replace(b"\r\n", b"\n")
                if is_first and copy.omitted:
                    piece = without_fields(piece, copy.omitted)
                if is_first and copy.subject_prefix:
                    piece = prefixed(piece, copy.subject_prefix)
                is_first = False
                target.write(piece)
                size += len(piece)
                extra += _added_by_crlf(piece)
    except FileNotFoundError as error:
        raise MessageGone(str(error.filename)) from error
    target.write(held)
    return size + len(held), extra


def prefixed(message: bytes, prefix: bytes) -> bytes:
    """`message` with `prefix` before its subject, unless it is there; without a Subject field it gets one."""
    end = _HEADER_END.search(message)
    header = message[: end.start()] if end else message
    found = _SUBJECT.search(header)
    if found is None:
        return b"Subject: " + prefix.strip() + b"\n" + message
    if found[1].lstrip().startswith(prefix.strip()):
        return message
    return message[: found.start(1)] + b" " + prefix + message[found.start(1) :].lstrip(b" \t")


def _prepare_once(folder: Path) -> None:
    """Make a Maildir that is not there, and make sure once per process that its name survives a power cut.

    A folder that is there is synced all the same: the process that made it may not have come to that yet.
    """
    key = os.fspath(folder)
    if key in _prepared:
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("tmp", "new", "cur"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    if folder.name == JUNK:
        # What tells a folder of a Maildir++ from a mailbox of its own.
        (folder / "maildirfolder").touch(mode=0o600)
    for parent in (folder, folder.parent, folder.parent.parent):
        sync_folder(parent)
    _sweep(folder / "tmp")
    if len(_prepared) >= _MOST_PREPARED:
        _prepared.clear()
    _prepared.add(key)


def _sweep(tmp: Path) -> None:
    """Remove what killed deliveries left behind."""
    oldest = time.time() - _STALE_SECONDS
    with os.scandir(tmp) as files:
        for file in files:
            try:
                is_stale = file.stat(follow_symlinks=False).st_mtime < oldest
            except FileNotFoundError:
                # Another delivery has just renamed it.
                continue
            if is_stale:
                _unlink_quietly(Path(file.path))


def _sync_new(copies: Sequence[Copy], answers: Sequence[Stored]) -> None:
    """Make the new names durable, once per mailbox; where that fails, nothing counts as stored."""
    folders = {copy.folder: None for copy, answer in zip(copies, answers, strict=True) if answer.error is None}
    if not folders:
        return
    if len(folders) == 1:
        errors = [_sync_error(folder) for folder in folders]
    else:
        errors = list(_pool().map(_sync_error, folders))
    failed = {folder: error for folder, error in zip(folders, errors, strict=True) if error is not None}
    for copy, answer in zip(copies, answers, strict=True):
        if answer.error is None and copy.folder in failed:
            answer.error = failed[copy.folder]


def _sync_error(folder: Path) -> OSError | None:
    try:
        sync_folder(folder / "new")
    except OSError as error:
        return error
    return None
