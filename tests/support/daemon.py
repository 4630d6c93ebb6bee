"""A server process that a test owns: started, watched, killed, and never left behind."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from tests.support.forks import Forked, Forks
from tests.support.parents import die_with_parent

_running: weakref.WeakSet[Daemon] = weakref.WeakSet()


class DidNotStart(RuntimeError):
    """The process ended, or was not ready in time; the message ends with its log."""


class Daemon:
    """One process in a session of its own, its output appended to `log`.

    With `forks`, a `manage.py` command in the environment of those is forked there instead of started from nothing.
    The kernel kills it when the thread that started it ends, so start it from a thread that lives as long as it.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | os.PathLike[str]],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        forks: Forks | None = None,
    ) -> None:
        self.name = name
        self.command = [os.fspath(word) for word in command]
        self.log = log
        self.env = dict(env) if env is not None else None
        self.cwd = cwd
        self.stop_signal = stop_signal
        self._forks = forks
        self._process: subprocess.Popen[bytes] | Forked | None = None
        self._log_start_bytes = 0

    def start(self, ready: Callable[[], object] | None = None, seconds: float = 20.0) -> None:
        """Start it and wait until `ready` is true. Raises DidNotStart."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._log_start_bytes = output.tell()
            self._process = self._begin(output)
        _running.add(self)
        deadline = time.monotonic() + seconds
        while ready is not None and not ready():
            if not self.alive:
                raise DidNotStart(f"{self.name} ended with {self._process.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise DidNotStart(f"{self.name} was not ready after {seconds:g} s:\n{self.log_tail()}")
            time.sleep(0.02)

    def _begin(self, output: IO[bytes]) -> subprocess.Popen[bytes] | Forked:
        # A test may have put strace before the command, or changed its environment.
        if (
            self._forks is not None
            and self.env == self._forks.env
            and self.command[:2] == [sys.executable, "manage.py"]
        ):
            return self._forks.start(self.command[2:], output, output)
        return subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=self.env,
            cwd=self.cwd,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.pid

    @property
    def pids(self) -> list[int]:
        """Its own, and those of its children: what a wrapper such as strace runs."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        except OSError:
            children = []
        return [self.pid, *map(int, children)]

    @property
    def returncode(self) -> int | None:
        """How it ended, as subprocess tells it (-9 for SIGKILL); None while it runs."""
        return None if self._process is None else self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        if self.alive:
            os.kill(self.pid, number)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def wait(self, seconds: float) -> int:
        """Its exit status. Raises subprocess.TimeoutExpired."""
        assert self._process is not None
        return self._process.wait(seconds)

    def stop(self, seconds: float = 40.0) -> int | None:
        """Ask it to end, and wait; kill it after `seconds`. Returns the exit status."""
        if self._process is None:
            return None
        self.signal(self.stop_signal)
        return self.finish(seconds)

    def finish(self, seconds: float = 40.0) -> int | None:
        """Wait for one that has been asked to end, without asking again; kill it after `seconds`."""
        if self._process is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.kill()
        return self._process.returncode

    def kill(self) -> None:
        """SIGKILL, children included; returns when it is gone."""
        if self._process is None:
            return
        self.signal_group(signal.SIGKILL)
        self._process.wait(10)
        _running.discard(self)

    def log_tail(self, size_bytes: int = 4000) -> str:
        """The end of what it printed."""
        try:
            return self.log.read_bytes()[-size_bytes:].decode(errors="replace")
        except FileNotFoundError:
            return ""

    def has_printed(self, words: str) -> bool:
        """Whether a line that has the words came, whole, since it was started last."""
        try:
            text = self.log.read_bytes()[self._log_start_bytes :].decode(errors="replace")
        except FileNotFoundError:
            return False
        return any(words in line for line in text.splitlines(keepends=True) if line.endswith("\n"))


@atexit.register
def _kill_all() -> None:
    for daemon in list(_running):
        daemon.kill()
