"""Faults at chosen system calls, by strace(1)."""

from __future__ import annotations

import functools
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.daemon import Daemon
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at a system call. `when` counts its calls in each thread, as strace does: "3", "3+5", "3..7"."""

    syscall: str
    effect: str
    when: str

    @property
    def wrapper(self) -> list[str]:
        """What to put before a command."""
        # It stops at the chosen calls only, so that the rest runs at full speed; but then strace 6.1 sends no signal.
        quick = [] if self.effect.startswith("signal") else ["--seccomp-bpf"]
        return [
            "strace",
            "-f",
            "-qqq",
            *quick,
            "-o",
            "/dev/null",
            "-e",
            "signal=none",
            "-e",
            f"trace={self.syscall}",
            "-e",
            f"inject={self.syscall}:{self.effect}:when={self.when}",
        ]

    def __str__(self) -> str:
        return f"{self.syscall}:{self.effect}:when={self.when}"


def kill_at(syscall: str, number: int) -> Fault:
    """SIGKILL on entering the call: it is never carried out, nor is anything after it."""
    return Fault(syscall, "signal=KILL", str(number))


def fail_at(syscall: str, error: str, when: str) -> Fault:
    """The call fails with `error` (as "ENOSPC") and does nothing."""
    return Fault(syscall, f"error={error}", when)


def commits(postgres: PostgresServer | None, numbers: Sequence[int]) -> list[Fault]:
    """Death around the commit: SQLite syncs its log; PostgreSQL is told, and answers, by a socket, as in SMTP."""
    if postgres is None:
        return [kill_at("fdatasync", number) for number in numbers]
    return [kill_at(call, number * 7) for number in numbers for call in ("sendto", "recvfrom")]


def process_with(mailspool: MailspoolUnderTest, daemon: Daemon, fault: Fault) -> Daemon:
    """The same process, under strace. Its name and log are its own."""
    arguments = daemon.command[daemon.command.index("manage.py") + 1 :]
    return mailspool.process(f"{daemon.name}-faulty", *arguments, wrap=fault.wrapper)


def dies(daemon: Daemon, seconds: float = 60.0) -> bool:
    """Wait for its end; False when it is still alive after `seconds`."""
    deadline = time.monotonic() + seconds
    while daemon.alive and time.monotonic() < deadline:
        time.sleep(0.02)
    return not daemon.alive


@functools.cache
def can_inject() -> bool:
    """Whether strace is there and may trace (a container may forbid it)."""
    if shutil.which("strace") is None:
        return False
    command = [*fail_at("getpgrp", "EPERM", "1").wrapper, "true"]
    return subprocess.run(command, check=False, capture_output=True, timeout=20).returncode == 0
