"""A wire to PostgreSQL that can be cut at the commit: before it arrives, or when its answer is on the way.

It listens on a unix socket in a folder of its own, as the server does. See PostgreSQL's "Frontend/Backend Protocol".
"""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from enum import Enum
from pathlib import Path

_PORT = 5432
_COMMIT = b"COMMIT"


class Cut(Enum):
    """Where the client's connection ends. LATE: the server gets the commit only after the client has lost its line."""

    BEFORE = "before the commit"
    ANSWER = "before the commit's answer"
    LATE = "while the commit is under way"


class PostgresProxy:
    """Passes everything on, but for the next commit after `cut`. In a URL its folder stands for the server's."""

    def __init__(self, server_folder: Path, *, delay_seconds: float = 1.0) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailspool-pgproxy-"))
        self.cuts = 0
        self._server = str(server_folder / f".s.PGSQL.{_PORT}")
        self._delay = delay_seconds
        self._next: Cut | None = None
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.folder / f".s.PGSQL.{_PORT}"))
        self._listener.listen(50)
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, database_url: str, server_folder: Path) -> str:
        """The same database, by this wire."""
        return database_url.replace(str(server_folder), str(self.folder))

    def cut(self, where: Cut) -> None:
        """Cut the line of whoever commits next."""
        with self._lock:
            self._next = where

    @property
    def is_waiting(self) -> bool:
        """Whether a line is still to be cut."""
        return self._next is not None

    def close(self) -> None:
        self._listener.close()
        (self.folder / f".s.PGSQL.{_PORT}").unlink()
        self.folder.rmdir()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            threading.Thread(target=self._from_server, args=(server, client), daemon=True).start()
            threading.Thread(target=self._from_client, args=(client, server), daemon=True).start()

    def _from_server(self, server: socket.socket, client: socket.socket) -> None:
        try:
            while piece := server.recv(65536):
                client.sendall(piece)
        except OSError:
            pass
        _end(client)

    def _from_client(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while piece := client.recv(65536):
                where = self._take() if _COMMIT in piece else None
                if where is None:
                    server.sendall(piece)
                    continue
                self._cut_here(where, piece, client, server)
                break
        except OSError:
            pass
        _end(server)

    def _take(self) -> Cut | None:
        with self._lock:
            where, self._next = self._next, None
        return where

    def _cut_here(self, where: Cut, piece: bytes, client: socket.socket, server: socket.socket) -> None:
        self.cuts += 1
        # The other direction ends too: no answer gets through.
        _end(client)
        if where is Cut.BEFORE:
            return
        if where is Cut.LATE:
            time.sleep(self._delay)
        server.sendall(piece)
        # Long enough for the server to carry it out before it sees the end of the line.
        time.sleep(0.2)


def _end(line: socket.socket) -> None:
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
