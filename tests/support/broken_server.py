"""Servers that misbehave as a scanner or a check may: they hang, close, or answer what makes no sense."""

from __future__ import annotations

import contextlib
import socket

from tests.support.loopback_server import LoopbackServer


class BrokenServer(LoopbackServer):
    """What it does with each connection is `answer`: bytes, or None to hang without a word."""

    def __init__(self, answer: bytes | None, *, read_first: bool = True) -> None:
        super().__init__()
        self._said = answer
        self._read_first = read_first

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        for connection in self.there:
            connection.close()

    def answer(self, connection: socket.socket) -> None:
        if self._said is None:
            return
        with contextlib.suppress(OSError):
            if self._read_first:
                connection.settimeout(5)
                connection.recv(65536)
            connection.sendall(self._said)
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
