"""`manage.py` commands forked from a process that has the program loaded: they start in a tenth of the time.

Each is a process of its own, with its own connections, caches, output and exit status, and what it runs is Django's
command line. Only the loading is shared: that happens once for an environment, not once for every command. A start
from nothing is for the tests of `make run` and for processes under strace.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from tests.support.parents import die_with_parent

PROJECT = Path(__file__).resolve().parents[2]
_LARGEST_REQUEST_BYTES = 1 << 20


class Forked:
    """A command that was started, told about as subprocess.Popen does."""

    def __init__(self, pid: int, line: socket.socket, command: Sequence[str]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._line = line
        self._command = command

    def poll(self) -> int | None:
        """How it ended; None while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status. Raises subprocess.TimeoutExpired."""
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(list(self._command), timeout or 0)
        return status

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._line], [], [], seconds)[0]:
            said = self._line.recv(64)
            # Nothing more is said when the process it was forked from was killed: it is then killed too.
            self.returncode = int(said) if said else -9
            self._line.close()
        return self.returncode


class Forks:
    """The loaded process for one environment. It begins with the first command, and ends with `close` or the tests."""

    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        self.env = dict(env)
        self._log = log
        self._parent: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._loading = threading.Lock()

    def start(self, arguments: Sequence[str], stdout: IO[bytes], stderr: IO[bytes]) -> Forked:
        """Start `manage.py ARGUMENTS…` in a session of its own. Raises OSError when the program can't be loaded."""
        with self._loading:
            if self._line is None:
                self._line = self._load()
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        request = json.dumps(list(arguments)).encode()
        files = array.array("i", [there.fileno(), stdout.fileno(), stderr.fileno()])
        with there:
            self._line.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        pid = here.recv(64)
        if not pid:
            raise OSError(f"nothing could be forked: {self._log.read_text()[-2000:]}")
        return Forked(int(pid), here, ["manage.py", *arguments])

    def run(self, arguments: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. Raises subprocess.TimeoutExpired after `seconds`; then it is killed."""
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            process = self.start(arguments, stdout, stderr)
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, 9)
                raise
            said = []
            for file in (stdout, stderr):
                file.seek(0)
                said.append(file.read().decode())
        return subprocess.CompletedProcess(["manage.py", *arguments], status, *said)

    def close(self) -> None:
        """End the loaded process, and with it whatever was forked from it."""
        if self._parent is not None and self._line is not None:
            self._line.close()
            self._parent.kill()
            self._parent.wait()
            self._parent = self._line = None

    def _load(self) -> socket.socket:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (here, there):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST_REQUEST_BYTES)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with there, self._log.open("ab") as output:
            self._parent = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forks", str(there.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.env,
                cwd=PROJECT,
                pass_fds=[there.fileno()],
                start_new_session=True,
            )
        # Not told to die with the thread that starts it: it ends when nobody holds the other end of its line.
        return here


def _serve(line: socket.socket) -> list[str]:
    """Fork for every request, and tell who asked how it ended. Returns in the forked process alone: its arguments."""
    running: dict[int, tuple[int, socket.socket]] = {}
    polling = select.epoll()
    polling.register(line, select.EPOLLIN)
    while True:
        for descriptor, _ in polling.poll():
            if descriptor != line.fileno():
                pid, asking = running.pop(descriptor)
                polling.unregister(descriptor)
                os.close(descriptor)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with asking, contextlib.suppress(OSError):
                    asking.send(str(status).encode())
                continue
            request, files, _, _ = socket.recv_fds(line, _LARGEST_REQUEST_BYTES, 3)
            if not request:
                sys.exit(0)
            asking_descriptor, stdout, stderr = files
            parent = os.getpid()
            if (pid := os.fork()) == 0:
                _become_a_command(parent, stdout, stderr)
                polling.close()
                line.close()
                for open_descriptor in (*running, *files):
                    os.close(open_descriptor)
                for _, other in running.values():
                    other.close()
                return ["manage.py", *json.loads(request)]
            os.close(stdout)
            os.close(stderr)
            asking = socket.socket(fileno=asking_descriptor)
            watched = os.pidfd_open(pid)
            running[watched] = (pid, asking)
            polling.register(watched, select.EPOLLIN)
            asking.send(str(pid).encode())


def _become_a_command(parent: int, stdout: int, stderr: int) -> None:
    os.setsid()
    die_with_parent()
    if os.getppid() != parent:
        os._exit(1)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)


def _load_program() -> None:
    """Everything that the processes of an installation load, and nothing that talks to a database or to Redis."""
    import gc
    from importlib import import_module

    import django

    django.setup()
    for module in (
        "django.core.management.commands.shell",
        "django_rq.management.commands.rqworker",
        "quarantine.stages",
        "security.checks",
        "spool.management.commands.scheduler",
        "spool.management.commands.smtpd",
        "spool.management.commands.spool",
        "spool.stages",
        "spool.tasks",
        "spool.worker",
        "throttling.checks",
        "throttling.stages",
        "throttling.tasks",
    ):
        import_module(module)
    gc.collect()
    # The garbage collector of a forked process would copy every page by looking at it.
    gc.freeze()


def main() -> None:
    _load_program()
    from django.core.management import execute_from_command_line

    sys.argv = _serve(socket.socket(fileno=int(sys.argv[1])))
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
