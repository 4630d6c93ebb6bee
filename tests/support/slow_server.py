"""A clamd that says the same of every message, in sessions, after a while that may depend on its size."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType


class SlowServer:
    """Listens on a port, and takes as many connections as come. `most_open` is how many there were at once.

    `connections` is how many there were in all, `drop` ends those that are open.
    """

    def __init__(self, seconds: float | Callable[[int], float], answer: bytes) -> None:
        self._seconds = seconds if callable(seconds) else lambda size: seconds
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port: int = self._listener.getsockname()[1]
        self.connections = self.most_open = self._open = 0
        self._there: list[socket.socket] = []
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> SlowServer:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._there.append(connection)
            threading.Thread(target=self._scan, args=(connection,), daemon=True).start()

    def drop(self) -> None:
        """End every session, as a clamd that is started anew does."""
        while self._there:
            with contextlib.suppress(OSError):
                self._there.pop().shutdown(socket.SHUT_RDWR)

    def _scan(self, connection: socket.socket) -> None:
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
