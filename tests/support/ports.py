"""Free TCP ports on loopback."""

from __future__ import annotations

import random
import socket

_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on and that this process has not been given before.

    Below the range from which the kernel takes the ports of outgoing connections (ip(7)), so that none of those can
    sit on it when the server starts.
    """
    for _ in range(1000):
        port = random.randint(12_000, 31_000)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError("no free port on 127.0.0.1 between 12000 and 31000")


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a connection to the port is accepted."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0
