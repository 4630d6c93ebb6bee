"""Between the programs and what may make them wait: a bounded queue, and a thread that writes what is in it.

A full disk, a pipe that nobody reads and a system log that hangs must not stop mail. Then lines are lost and counted;
the first line that gets through again says how many.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from spool.events import mail_log
from spool.events.mail_log import Event, EventHandler
from spool.events.outlets import Entry, Outlet, StandardError, chosen

log = logging.getLogger(__name__)

# Some megabytes.
MOST_WAITING: Final = 10_000
# Lines of a busy program are written together: a thread that wakes for each costs more than the line.
LINGER_SECONDS: Final = 0.2
# How long who logs much at once waits for what it logged before.
ROOM_SECONDS: Final = 0.1
# How long the end of a program, or a fork, waits for lines that can't be written.
FLUSH_SECONDS: Final = 1.0
# How often it is said that a log can't be written.
SELDOM_SECONDS: Final = 60.0

_all: weakref.WeakSet[QueuedHandler] = weakref.WeakSet()


class QueuedHandler(EventHandler):
    """Hands records to an outlet, in their order, from a thread of its own that begins with the first of them."""

    def __init__(self, make_outlet: Callable[[], Outlet], *, complains: bool = True) -> None:
        """`make_outlet` is called in the thread. One that `complains` says when nothing can be written."""
        super().__init__()
        self._make_outlet = make_outlet
        self._complains = complains
        self._complained = float("-inf")
        self._outlet: Outlet | None = None
        self._begin_anew()
        _all.add(self)

    def _begin_anew(self) -> None:
        self._waiting: deque[Entry] = deque()
        self._lost = 0
        # Whether the thread knows that something waits, and whether it is writing.
        self._told = False
        self._writing = False
        # Whether it was waited for in vain, and has written nothing since.
        self._stuck = False
        self._telling = threading.RLock()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._ending = False

    def take(self, events: Iterable[Event]) -> None:
        waiting = self._waiting
        for event in events:
            if len(waiting) < MOST_WAITING or self._makes_room():
                waiting.append(event)
            else:
                self._lost += 1
        if not self._told:
            self._tell()

    def _makes_room(self) -> bool:
        """Give the thread a moment, so that the results of a large batch are not lost; none to one that is stuck."""
        if self._stuck:
            return False
        self._tell()
        until = time.monotonic() + ROOM_SECONDS
        while len(self._waiting) >= MOST_WAITING and time.monotonic() < until:
            self._hurry.set()
            time.sleep(0.001)
        self._stuck = len(self._waiting) >= MOST_WAITING
        return not self._stuck

    def emit(self, record: logging.LogRecord) -> None:
        event: object = record.msg
        if isinstance(event, Event):
            self.take((event,))
            return
        if len(self._waiting) >= MOST_WAITING:
            self._lost += 1
            return
        _settle(record)
        self._waiting.append(record)
        if record.levelno >= logging.WARNING:
            self._hurry.set()
        if not self._told:
            self._tell()

    def _tell(self) -> None:
        """Wake the thread; start one where there is none."""
        with self._telling:
            if self._told:
                return
            self._told = True
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
        self._wake.set()

    def flush(self) -> None:
        """Have what waits written, if that takes no longer than FLUSH_SECONDS."""
        until = time.monotonic() + FLUSH_SECONDS
        while (self._waiting or self._writing) and self._thread is not None and time.monotonic() < until:
            self._hurry.set()
            self._wake.set()
            time.sleep(0.002)

    def pause(self) -> None:
        """Write what waits and end the thread; another one begins with the next record."""
        self.flush()
        with self._telling:
            if self._thread is not None and self._thread is not threading.current_thread():
                self._ending = True
                self._hurry.set()
                self._wake.set()
                self._thread.join(FLUSH_SECONDS)
                self._ending = False

    def forget(self) -> None:
        """In a forked process: what waits is the parent's to write, and so is the outlet's connection."""
        self._begin_anew()
        self._outlet = None

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            self._hurry.wait(LINGER_SECONDS)
            self._hurry.clear()
            # Who comes from now on wakes it again.
            self._told = False
            self._writing = True
            entries = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if entries or self._lost:
                self._write(entries)
            self._writing = False
            if self._ending and not self._waiting:
                return

    def _write(self, entries: list[Entry]) -> None:
        lost, self._lost = self._lost, 0
        count = lost + len(entries)
        if lost:
            entries.append(Event.of("lost", mail_log.NO_MESSAGE, lines=lost))
        try:
            if self._outlet is None:
                self._outlet = self._make_outlet()
            self._outlet.write(entries)
            self._stuck = False
        except Exception as error:  # the edge of the thread: no log is worth a program
            self._lost += count
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        now = time.monotonic()
        if self._complains and now - self._complained >= SELDOM_SECONDS:
            self._complained = now
            log.error("the mail log can't be written: %s", error)


def mail(where: str, form: str) -> QueuedHandler:
    """The mail log's handler, for LOGGING in the settings. Raises NoSuchPlace."""
    return QueuedHandler(chosen(where, form))


def program(form: str) -> QueuedHandler:
    """The handler of all that programs say, to standard error."""
    return QueuedHandler(lambda: StandardError(form), complains=False)


def _settle(record: logging.LogRecord) -> None:
    """What a record is about may have changed by the time that it is written."""
    record.msg, record.args = record.getMessage(), None
    if record.exc_info:
        record.exc_text = record.exc_text or logging.Formatter().formatException(record.exc_info)
        record.exc_info = None


def _before_fork() -> None:
    for handler in list(_all):
        handler.pause()


def _after_fork() -> None:
    for handler in list(_all):
        handler.forget()


# Which threads and locks a forked process has is nobody's guess: it begins without any of ours.
os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
