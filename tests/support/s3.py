"""A store that speaks S3: moto's server, behind a gate that can be shut, or let everybody wait."""

from __future__ import annotations

import itertools
import socket
import sys
import threading
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import requests

from base.buckets import Bucket
from tests.support.daemon import Daemon
from tests.support.ports import free_port, is_listening

KEY, SECRET = "AKIATEST", "a-secret-of-the-bucket"
_numbers = itertools.count(1)


class Gate(Enum):
    """What becomes of who connects."""

    OPEN = "passed on"
    SHUT = "turned away"
    SILENT = "heard, and never answered"


class S3Store:
    """One server; what it has is gone with it. `gate` holds for connections that are there, too."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)]
        self._server = Daemon("moto", command, folder / "moto.log")
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self._clients: set[socket.socket] = set()
        self._gate = Gate.OPEN
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def start(self) -> None:
        self._server.start(lambda: is_listening(self._port), 60)

    def stop(self) -> None:
        self._listener.close()
        self._cut()
        self._server.kill()

    def set(self, gate: Gate) -> None:
        """From now on."""
        self._gate = gate
        if gate is Gate.SHUT:
            self._cut()

    def new_bucket(self) -> Bucket:
        """An empty one."""
        name = f"mail-{next(_numbers)}"
        requests.put(f"http://127.0.0.1:{self._port}/{name}", timeout=30).raise_for_status()
        return Bucket(self.url, name, "of/tests")

    def keys(self, bucket: Bucket) -> list[str]:
        """Of all objects there."""
        found = requests.get(f"http://127.0.0.1:{self._port}/{bucket.name}?list-type=2", timeout=30)
        found.raise_for_status()
        return [piece.partition("</Key>")[0] for piece in found.text.split("<Key>")[1:]]

    def env(self, bucket: Bucket, **more: str) -> dict[str, str]:
        """What tells programs of it."""
        return {
            "MAILSPOOL_S3": f"{bucket.endpoint}/{bucket.name}/{bucket.prefix}",
            "MAILSPOOL_S3_KEY": KEY,
            "MAILSPOOL_S3_SECRET": SECRET,
            "MAILSPOOL_S3_KB": "300",
            **more,
        }

    def tell(self, settings: Any, bucket: Bucket) -> None:
        """The same for this process."""
        settings.MAILSPOOL_S3, settings.MAILSPOOL_S3_KB = bucket, 300
        settings.MAILSPOOL_S3_KEY, settings.MAILSPOOL_S3_SECRET = KEY, SECRET

    def _cut(self) -> None:
        for client in list(self._clients):
            client.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._gate is Gate.SHUT:
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._clients.add(client)
        try:
            with client, socket.create_connection(("127.0.0.1", self._port)) as server:
                threading.Thread(target=_pass_on, args=(server, client), daemon=True).start()
                while piece := client.recv(65536):
                    while self._gate is Gate.SILENT:
                        threading.Event().wait(0.02)
                    server.sendall(piece)
        except OSError:
            pass
        finally:
            self._clients.discard(client)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Store]:
    server = S3Store(tmp_path_factory.mktemp("s3"))
    server.start()
    yield server
    server.stop()


def _pass_on(server: socket.socket, client: socket.socket) -> None:
    try:
        while piece := server.recv(65536):
            client.sendall(piece)
    except OSError:
        pass
