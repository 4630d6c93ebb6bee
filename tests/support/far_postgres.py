"""A PostgreSQL that seems to be on another machine, in a network namespace, whose connections can fall silent.

Needs root, and Debian's iproute2. A program in the namespace passes TCP on to the server's unix socket.

`python -m tests.support.far_postgres ADDRESS PORT SOCKET` is that program.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from tests.support.daemon import Daemon
from tests.support.postgres import PostgresServer

PORT = 5432
NEAR, FAR = "10.213.7.1", "10.213.7.2"


class FarPostgres:
    """Use it as a context manager."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self._server = server
        self._name = f"mailspool-{os.getpid()}"
        self._near = f"ms{os.getpid()}"
        self._inside = ["ip", "netns", "exec", self._name]
        path = server.folder / f".s.PGSQL.{PORT}"
        self._passing_on = Daemon(
            "passing on",
            [*self._inside, sys.executable, "-m", "tests.support.far_postgres", FAR, str(PORT), path],
            folder / "passing-on.log",
            cwd=Path(__file__).parents[2],
        )

    def __enter__(self) -> FarPostgres:
        with contextlib.ExitStack() as undo:
            self._ip("netns", "add", self._name)
            undo.callback(self._remove)
            self._ip("link", "add", self._near, "type", "veth", "peer", "name", "far", "netns", self._name)
            self._ip("address", "add", f"{NEAR}/30", "dev", self._near)
            self._ip("link", "set", self._near, "up")
            self._ip("-n", self._name, "address", "add", f"{FAR}/30", "dev", "far")
            for device in ("far", "lo"):
                self._ip("-n", self._name, "link", "set", device, "up")
            self._passing_on.start(self._answers, seconds=20)
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        self._passing_on.kill()
        # By itself the namespace would take it along, but only in its own time.
        subprocess.run(["ip", "link", "delete", self._near], check=False)
        subprocess.run(["ip", "netns", "delete", self._name], check=False)

    def url(self, database_url: str) -> str:
        """The same database, over there."""
        name = database_url.partition("?")[0].rpartition("/")[2]
        return f"postgres://postgres@{FAR}:{PORT}/{name}"

    def fall_silent(self) -> int:
        """From now on nothing of the connections that there are arrives, while new ones work; how many there are."""
        listed = subprocess.run(
            [*self._inside, "ss", "-Htn", "state", "established", f"sport = :{PORT}"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        ports = [line.split()[3].rpartition(":")[2] for line in listed.splitlines()]
        for port in ports:
            self._ip("-n", self._name, "rule", "add", "ipproto", "tcp", "sport", str(PORT), "dport", port, "blackhole")
        return len(ports)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((FAR, PORT), 1):
            return True
        return False

    @staticmethod
    def _ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)


async def _pass_on(address: str, port: int, path: str) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(path)
        await asyncio.gather(_copy(reader, back), _copy(there, writer))

    async with await asyncio.start_server(connected, address, port) as server:
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(_pass_on(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
