"""Free TCP ports on loopback."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from functools import cache
from pathlib import Path

_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on and that no run of the tests on this machine has been given.

    Below the range from which the kernel takes the ports of outgoing connections (ip(7)), so that none of those can
    sit on it when the server starts.
    """
    for _ in range(1000):
        port = random.randint(12_000, 31_000)
        if port in _given or not _reserve(port):
            continue
        _given.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError("no free port on 127.0.0.1 between 12000 and 31000")


def _reserve(port: int) -> bool:
    """Keep the port from other processes while this one lives: a lock on one byte of a file that all share."""
    try:
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    return True


@cache
def _reservations() -> int:
    path = Path(tempfile.gettempdir()) / f"mailspool-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a connection to the port is accepted."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0
