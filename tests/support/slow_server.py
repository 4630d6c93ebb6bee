"""A clamd that says the same of every message, in sessions, after a while that may depend on its size."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable

from tests.support.loopback_server import LoopbackServer


class SlowServer(LoopbackServer):
    """Takes as many connections as come. `most_open` is how many were open at once; `drop` ends those that are."""

    def __init__(self, seconds: float | Callable[[int], float], answer: bytes) -> None:
        super().__init__()
        self._seconds = seconds if callable(seconds) else lambda size: seconds
        self._answer = answer
        self.most_open = self._open = 0
        self._lock = threading.Lock()

    def drop(self) -> None:
        """End every session, as a clamd that is started anew does."""
        while self.there:
            with contextlib.suppress(OSError):
                self.there.pop().shutdown(socket.SHUT_RDWR)

    def answer(self, connection: socket.socket) -> None:
        with self._lock:
            self._open += 1
            self.most_open = max(self.most_open, self._open)
        with contextlib.suppress(OSError, struct.error), connection, connection.makefile("rb") as stream:
            stream.read(len(b"zIDSESSION\0"))
            scans = 0
            while stream.read(len(b"zINSTREAM\0")):
                size = 0
                while length := struct.unpack("!L", stream.read(4))[0]:
                    size += len(stream.read(length))
                time.sleep(self._seconds(size))
                scans += 1
                connection.sendall(b"%d: " % scans + self._answer)
        with self._lock:
            self._open -= 1
