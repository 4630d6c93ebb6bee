"""What must hold before Mailspool starts: a home of its own and free ports. Each failure is a sentence for people."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mailspool.home import Home


class CannotStart(Exception):
    """Why Mailspool cannot start, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port that a program will listen on, and the environment variable that chooses it."""

    purpose: str
    number: int
    variable: str


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


def check_ports(bind: str, ports: Sequence[Port]) -> None:
    """Raise CannotStart when a port cannot be listened on, or is asked for twice."""
    taken: dict[int, Port] = {}
    for port in ports:
        other = taken.setdefault(port.number, port)
        if other is not port:
            raise CannotStart(f"{other.variable} and {port.variable} are both {port.number}: give each its own port.")
        _check_port(bind, port)


def _check_port(bind: str, port: Port) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(bind, port.number, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise CannotStart(f"MAILSPOOL_BIND={bind} is not an address to listen on: {error.strerror}.") from error
    with socket.socket(family, kind, protocol) as probe:
        # As the servers do: connections of an earlier run that are still winding down are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise CannotStart(_why_not(error, bind, port)) from error


def _why_not(error: OSError, bind: str, port: Port) -> str:
    where = f"Port {port.number} on {bind}, for {port.purpose},"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is used by another program. Stop that one, or set {port.variable} to a free port."
    if error.errno == errno.EACCES:
        return (
            f"{where} is only for root (below 1024). Set {port.variable} to a higher port, or see docs/installing.md."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"This machine has no address {bind}. Set MAILSPOOL_BIND to one that it has."
    return f"{where} can't be listened on: {error.strerror}. Set {port.variable} or MAILSPOOL_BIND."


def _lock(path: Path, *, inheritable: bool) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.set_inheritable(descriptor, inheritable)
    return descriptor
