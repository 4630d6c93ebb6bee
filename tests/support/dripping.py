"""An HTTPS server on loopback whose answers never end: it sends a line of its header now and then."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import Self

EVERY_SECONDS = 0.05


class DrippingServer:
    """`connections` is how many there were."""

    def __init__(self, context: ssl.SSLContext, host: str, port: int = 0) -> None:
        self._context = context
        self._listener = socket.create_server((host, port), backlog=200)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
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
            threading.Thread(target=self._drip, args=(connection,), daemon=True).start()

    def _drip(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), self._context.wrap_socket(connection, server_side=True) as stream:
            stream.sendall(b"HTTP/1.1 200 OK\r\n")
            while not self._stopped.wait(EVERY_SECONDS):
                stream.sendall(b"X-Patience: please\r\n")
