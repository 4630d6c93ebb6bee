"""What a program tells systemd of itself (sd_notify(3)), and the sockets that it has systemd keep for its next life.

Without systemd nothing is told. Kept sockets stay open while a unit is restarted, also after a crash: clients wait in
the kernel. That needs no socket unit, and MAILSPOOL_BIND goes on saying where we listen.
"""

from __future__ import annotations

import array
import logging
import os
import socket
import time
from collections.abc import Iterable

log = logging.getLogger(__name__)

# Before the name of a listener whose sockets are kept; what a socket unit opens has the name alone.
KEPT = "kept-"


def ready(status: str) -> None:
    """The program does its work now; `status` is what `systemctl status` shows."""
    _tell("READY=1", f"STATUS={status}")


def starting(status: str, seconds: float) -> None:
    """The start takes longer: be patient for so many seconds more."""
    _tell(f"STATUS={status}", f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")


def reloading() -> None:
    """Settings are being read anew; `ready` says when that is done."""
    _tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> None:
    """The program finishes what it has begun, and ends."""
    _tell("STOPPING=1", "STATUS=finishing what it has begun")


def keep(name: str, sockets: Iterable[socket.socket], *, afresh: bool) -> None:
    """Have the listening sockets of a listener kept; `afresh` when others of it were kept before."""
    if afresh:
        _tell("FDSTOREREMOVE=1", f"FDNAME={KEPT}{name}")
    numbers = [one.fileno() for one in sockets]
    if numbers:
        _tell("FDSTORE=1", f"FDNAME={KEPT}{name}", descriptors=numbers)


def _tell(*lines: str, descriptors: Iterable[int] = ()) -> None:
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    files = array.array("i", descriptors)
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)] if files else []
    # An @ stands for the NUL of an abstract socket (unix(7)).
    place = f"\0{path[1:]}" if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.sendmsg(["\n".join(lines).encode()], ancillary, 0, place)
    except OSError as error:
        # Mail goes on whether or not somebody hears of it.
        log.warning("systemd could not be told %s: %s", lines[0], error)
