"""What systemd does for a service with sockets: hands them over, hears what the service says of itself, keeps them."""

from __future__ import annotations

import array
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from tests.support.daemon import Daemon
from tests.support.parents import die_with_parent
from tests.support.waiting import wait_until

# The descriptors from 3 on, and the process id of the program itself (sd_listen_fds(3)).
_HAND_OVER = """
import os, sys
numbers, names, *command = sys.argv[1:]
numbers = [int(number) for number in numbers.split(",") if number]
copies = [os.dup(number) for number in numbers]
for place, copy in enumerate(copies, 3):
    os.dup2(copy, place)
    os.set_inheritable(place, True)
os.closerange(3 + len(copies), max([100, *numbers, *copies]) + 1)
if numbers:
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(numbers)), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"""


class ServiceManager:
    """`sockets` by their names, as socket units have them, and `stored` ones, that the service gave us to keep.

    Use it as a context manager.
    """

    def __init__(self, sockets: dict[str, list[socket.socket]] | None = None) -> None:
        self.sockets = sockets or {}
        self.stored: list[tuple[str, socket.socket]] = []
        self.messages: list[str] = []
        self._folder = tempfile.TemporaryDirectory()
        self.notify_path = Path(self._folder.name) / "notify"
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(self.notify_path))
        self._notify.setblocking(False)

    def __enter__(self) -> ServiceManager:
        return self

    def __exit__(self, *exception: object) -> None:
        self._notify.close()
        for one in [one for some in self.sockets.values() for one in some] + [one for _, one in self.stored]:
            one.close()
        self._folder.cleanup()

    def hear(self) -> list[str]:
        """All lines that services have said so far; sockets that came with them are stored."""
        while True:
            try:
                said, files, _, _ = self._notify.recvmsg(4096, socket.CMSG_SPACE(64 * array.array("i").itemsize))
            except BlockingIOError:
                return self.messages
            lines = said.decode().splitlines()
            self.messages += lines
            name = next((line.partition("=")[2] for line in lines if line.startswith("FDNAME=")), "stored")
            if "FDSTOREREMOVE=1" in lines:
                for kept, one in [pair for pair in self.stored if pair[0] == name]:
                    self.stored.remove((kept, one))
                    one.close()
            for _, _, content in files:
                numbers = array.array("i", content)
                self.stored += [(name, socket.socket(fileno=number)) for number in numbers]

    def wait_for(self, line: str, seconds: float = 30.0) -> None:
        """Until a service has said that line; what was said before `forget` doesn't count."""
        wait_until(lambda: line in self.hear(), f"{line}, after {self.messages}", seconds, every=0.01)

    def forget(self) -> None:
        self.hear()
        self.messages.clear()


class Service(Daemon):
    """A program that the manager starts, with its sockets and with those that are stored."""

    def __init__(
        self, manager: ServiceManager, name: str, command: Sequence[str], log: Path, env: dict[str, str], cwd: Path
    ) -> None:
        super().__init__(name, command, log, env={**env, "NOTIFY_SOCKET": str(manager.notify_path)}, cwd=cwd)
        self._manager = manager

    def _begin(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        self._manager.hear()
        pairs = [(name, one) for name, some in self._manager.sockets.items() for one in some] + self._manager.stored
        numbers = [one.fileno() for _, one in pairs]
        hand_over = [sys.executable, "-c", _HAND_OVER, ",".join(map(str, numbers)), ":".join(name for name, _ in pairs)]
        return subprocess.Popen(
            [*hand_over, *self.command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=self.env,
            cwd=self.cwd,
            start_new_session=True,
            preexec_fn=die_with_parent,
            pass_fds=numbers,
        )


def listening_socket(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """As a socket unit makes it: for `::`, of both families (BindIPv6Only=both)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, dualstack_ipv6=host == "::", backlog=4096)
