"""Servers that misbehave as a scanner or a check may: they hang, close, or answer what makes no sense."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType


class BrokenServer:
    """Listens on a port; what it does with each connection is `answer`: bytes, or None to hang without a word."""

    def __init__(self, answer: bytes | None, *, read_first: bool = True) -> None:
        self._answer = answer
        self._read_first = read_first
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> BrokenServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # shutdown() wakes a thread that waits in accept(); close() alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            if self._answer is None:
                continue
            with contextlib.suppress(OSError):
                if self._read_first:
                    connection.settimeout(5)
                    connection.recv(65536)
                connection.sendall(self._answer)
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
