"""Where lines go: standard error, which is a terminal's, a pipe's or the journal's; syslog; a file that is rotated.

Each is called from one thread alone (spool.events.queue), which may wait as long as it takes.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import stat
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from logging.handlers import SysLogHandler
from pathlib import Path
from typing import Final

from spool.events.formats import LineFormatter
from spool.events.mail_log import Event

STDERR: Final = 2
# What a pipe takes in one piece (PIPE_BUF).
PIPE_BYTES: Final = 4096
# The group may read it, where the umask lets it: a reader of logs needs not be us.
_FILE_MODE: Final = 0o640
SYSTEM_LOG: Final = "/dev/log"
# The programs that run always: their standard error is the log's. Anybody else's is a person's.
SERVICES: Final = frozenset({"smtpd", "rqworker", "scheduler"})
# Of syslog(3), as the journal reads them at the beginning of a line (sd-daemon(3)).
_PRIORITIES: Final = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


class NoSuchPlace(ValueError):
    """What is right instead: the end of a sentence, without its full stop."""


# Of the mail log, or what a program says.
Entry = Event | logging.LogRecord


class Outlet(ABC):
    """One of them."""

    @abstractmethod
    def write(self, entries: Sequence[Entry]) -> None:
        """Write all of them, however long that takes. Raises OSError; then some may be lost."""


class StandardError(Outlet):
    """Lines with their time; for the journal, which has its own, with their priority instead."""

    def __init__(self, form: str) -> None:
        self._journal = _is_journal()
        self._formatter = LineFormatter(form, timed=not self._journal)

    def write(self, entries: Sequence[Entry]) -> None:
        for piece in _pieces(self._lines(entries), PIPE_BYTES):
            write_whole(STDERR, piece)

    def _lines(self, entries: Sequence[Entry]) -> Iterator[bytes]:
        for entry in entries:
            text = _text_of(entry, self._formatter)
            if self._journal:
                mark = f"<{_priority(entry)}>"
                text = mark + text.replace("\n", f"\n{mark}")
            yield _as_bytes(text)


class File(Outlet):
    """A file to whose end many processes write, line by line; after a rotation by renaming, the new one of its name.

    As logging's WatchedFileHandler, but every write is one of the system's, and none is left to the end of the program.
    """

    def __init__(self, path: str, form: str) -> None:
        self._path = path
        self._formatter = LineFormatter(form, timed=True)
        self._descriptor = -1
        self._opened: tuple[int, int] | None = None
        # After a disk that was full in the middle of a line.
        self._broken = False

    def write(self, entries: Sequence[Entry]) -> None:
        self._open_anew()
        # To a file many lines can go at once.
        text = "\n".join([_text_of(entry, self._formatter) for entry in entries])
        self._append(_as_bytes(f"\n{text}" if self._broken else text))

    def _open_anew(self) -> None:
        """Open the file of that name, unless it is open."""
        try:
            there = _identity(Path(self._path).stat())
        except FileNotFoundError:
            there = None
        if there is not None and there == self._opened:
            return
        if self._opened is not None:
            os.close(self._descriptor)
            self._opened = None
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        self._opened = _identity(os.fstat(self._descriptor))
        if os.geteuid() == 0:
            _hand_over(self._descriptor, Path(self._path).parent)

    def _append(self, piece: bytes) -> None:
        done = os.write(self._descriptor, piece)
        if done:
            self._broken = not piece[:done].endswith(b"\n")
        if done < len(piece):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _hand_over(descriptor: int, folder: Path) -> None:
    """A file that root has begun, by a command, is the programs' whose folder it is in: they must be able to go on."""
    file, owner = os.fstat(descriptor), folder.stat()
    if not file.st_size and file.st_uid != owner.st_uid and stat.S_ISREG(file.st_mode):
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


class Syslog(Outlet):
    """A system log at a unix socket, facility mail. While it is away lines are lost, and it is looked for again."""

    def __init__(self, path: str, form: str) -> None:
        self._path = path
        self._formatter = LineFormatter(form, timed=False)
        self._handler: _SysLog | None = None

    def write(self, entries: Sequence[Entry]) -> None:
        if self._handler is None:
            self._handler = _SysLog(self._path, facility=SysLogHandler.LOG_MAIL)
            self._handler.append_nul = False
            self._handler.setFormatter(self._formatter)
        self._handler.ident = f"mailspool[{os.getpid()}]: "
        try:
            for entry in entries:
                self._handler.emit(entry.as_record() if isinstance(entry, Event) else entry)
        except OSError:
            self._handler.close()
            self._handler = None
            raise


class _SysLog(SysLogHandler):
    """logging's own, which says what is wrong to whoever calls, and takes no program down that starts before syslog."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 – logging's name
        error = sys.exc_info()[1]
        raise error if isinstance(error, OSError) else OSError(str(error))


class Nothing(Outlet):
    """For who wants no log."""

    def write(self, entries: Sequence[Entry]) -> None:
        return


def chosen(where: str, form: str) -> Callable[[], Outlet]:
    """What makes the outlet that MAILSPOOL_LOG names: `stderr`, `syslog`, `syslog:/socket`, `file:/path` or `none`.

    Raises NoSuchPlace.
    """
    kind, _, rest = where.partition(":")
    if where == "none":
        return Nothing
    if where == "stderr":
        return lambda: StandardError(form) if _is_a_service() else _for_people(form)
    if kind == "syslog" and (where == "syslog" or Path(rest).is_absolute()):
        return lambda: Syslog(rest or SYSTEM_LOG, form)
    if kind == "file" and Path(rest).is_absolute():
        return lambda: File(rest, form)
    raise NoSuchPlace("it must be stderr, syslog, syslog:/path/of/its/socket, file:/path/of/a/file or none")


def write_whole(descriptor: int, piece: bytes) -> None:
    """All of `piece`, even where the descriptor does not block. Raises OSError."""
    while piece:
        try:
            piece = piece[os.write(descriptor, piece) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


def _for_people(form: str) -> Outlet:
    """The log of a command that somebody runs: their terminal is not the place for it, the system's log is."""
    try:
        is_there = stat.S_ISSOCK(Path(SYSTEM_LOG).stat().st_mode)
    except OSError:
        return Nothing()
    return Syslog(SYSTEM_LOG, form) if is_there else Nothing()


def _is_a_service() -> bool:
    """Whether this process is one of those that run always."""
    return "gunicorn" in sys.argv[0] or (len(sys.argv) > 1 and sys.argv[1] in SERVICES)


def _is_journal() -> bool:
    """Whether standard error goes to the journal (sd_journal_stream_fd(3), systemd.exec(5))."""
    try:
        here = os.fstat(STDERR)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM", "") == f"{here.st_dev}:{here.st_ino}"


def _text_of(entry: Entry, formatter: LineFormatter) -> str:
    return formatter.line(entry) if isinstance(entry, Event) else formatter.format(entry)


def _as_bytes(text: str) -> bytes:
    return f"{text}\n".encode("utf-8", "replace")


def _priority(entry: Entry) -> int:
    level = logging.INFO if isinstance(entry, Event) else entry.levelno
    return next((priority for least, priority in _PRIORITIES if level >= least), 7)


def _pieces(lines: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Lines together, as many as make no more than `most` bytes."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        if piece and size + len(line) > most:
            yield b"".join(piece)
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    if piece:
        yield b"".join(piece)
