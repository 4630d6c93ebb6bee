"""An HTTPS server on loopback whose answers never end: it sends a line of its header now and then."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

from tests.support.loopback_server import LoopbackServer

EVERY_SECONDS = 0.05


class DrippingServer(LoopbackServer):
    """Drips until it is stopped."""

    def __init__(self, context: ssl.SSLContext, host: str, port: int = 0) -> None:
        super().__init__(host, port)
        self._context = context
        self._stopped = threading.Event()

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        super().__exit__(*error)

    def answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), self._context.wrap_socket(connection, server_side=True) as stream:
            stream.sendall(b"HTTP/1.1 200 OK\r\n")
            while not self._stopped.wait(EVERY_SECONDS):
                stream.sendall(b"X-Patience: please\r\n")
