"""An HTTPS server on loopback that answers as a test says."""

from __future__ import annotations

import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Self


class HttpsServer:
    """`pages` are by path: (status, content type, body). `requests` are the paths that were asked for.

    What is posted is answered with `takes`, and kept: (path, content type, body).
    """

    def __init__(self, context: ssl.SSLContext, host: str = "127.0.0.1") -> None:
        self.pages: dict[str, tuple[int, str, bytes]] = {}
        self.requests: list[tuple[str, str]] = []
        self.posted: list[tuple[str, str, bytes]] = []
        self.takes = 201
        self.context = context
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.requests.append((self.headers["Host"] or "", self.path))
                status, content_type, body = owner.pages.get(self.path, (404, "text/plain", b"not here"))
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                if 300 <= status < 400:
                    self.send_header("Location", body.decode())
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                owner.posted.append((self.path, self.headers["Content-Type"], body))
                self.send_response(owner.takes)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                """Nothing: the test looks at `requests`."""

        class Server(HTTPServer):
            def get_request(self) -> tuple[socket.socket, object]:
                connection, client = super().get_request()
                return owner.context.wrap_socket(connection, server_side=True), client

        self._server = Server((host, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
