"""What must hold before Mailspool starts: a home of its own and free ports. Each failure is a sentence for people."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailspool.home import Home
from spool.sockets.addresses import Address
from spool.sockets.binding import CannotListen, open_sockets
from spool.sockets.inheritance import Sockets
from spool.sockets.listeners import MAIL, WEB, Listener


class CannotStart(Exception):
    """Why Mailspool cannot start, and what to do about it."""


def hold_home(home: Home, patience_seconds: float) -> int:
    """Make sure that no other Mailspool works in the home; returns a descriptor to be inherited by every program.

    Two locks: the supervisor's own says that one runs; the programs' is held until the last of them has ended, so
    that a start right after a kill waits (for `patience_seconds`) until the old ones have drained.
    Raises CannotStart.
    """
    try:
        home.create()
        _lock(home.supervisor_lock, inheritable=False)
        programs = os.open(home.programs_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except BlockingIOError as error:
        raise CannotStart(f"Mailspool already runs in {home.root}. Stop it first, or set MAILSPOOL_HOME.") from error
    except OSError as error:
        raise CannotStart(
            f"{error.filename or home.root}: {error.strerror}. Run as the owner of {home.root}, or set MAILSPOOL_HOME."
        ) from error
    deadline = time.monotonic() + patience_seconds
    told = False
    while True:
        try:
            fcntl.flock(programs, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise CannotStart(f"Programs of an earlier run still work in {home.root}: end them first.") from error
            if not told:
                print("Waiting for the programs of an earlier run to end …", flush=True)
                told = True
            time.sleep(0.1)
        else:
            return programs


@dataclass(frozen=True, slots=True)
class HeldSockets:
    """The listening sockets of `make run`, open from before the first program starts until the last is told to stop.

    A program that is started anew finds its clients waiting. `mail` has a set for each listener process: between
    sockets of their own the kernel spreads connections evenly.
    """

    web: Sockets
    mail: Sequence[Sockets]

    def close(self) -> None:
        """Let go of all: who still has one is a program that is draining."""
        for sockets in (self.web, *self.mail):
            for some in sockets.values():
                for one in some:
                    one.close()


def hold_sockets(listen: Mapping[str, Sequence[Address]], listener_processes: int) -> HeldSockets:
    """Listen where `listen` says, by the listeners' names. Raises CannotStart when another program already does."""

    def opened(listener: Listener, *, shared: bool) -> list[socket.socket]:
        return open_sockets(listen[listener.name], listener, shared=shared)

    try:
        for listener in MAIL:
            # A shared one would be had although another Mailspool of this user listens there.
            for one in opened(listener, shared=False):
                one.close()
        return HeldSockets(
            {WEB.name: opened(WEB, shared=False)},
            [{listener.name: opened(listener, shared=True) for listener in MAIL} for _ in range(listener_processes)],
        )
    except CannotListen as error:
        raise CannotStart(str(error)) from error


def _lock(path: Path, *, inheritable: bool) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.set_inheritable(descriptor, inheritable)
    return descriptor
