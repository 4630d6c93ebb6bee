"""Faults at chosen system calls, by strace(1)."""

from __future__ import annotations

import functools
import shutil
import subprocess
from dataclasses import dataclass


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
            "strace", "-f", "-qqq", *quick, "-o", "/dev/null", "-e", "signal=none",
            "-e", f"trace={self.syscall}", "-e", f"inject={self.syscall}:{self.effect}:when={self.when}",
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.syscall}:{self.effect}:when={self.when}"


def kill_at(syscall: str, number: int) -> Fault:
    """SIGKILL on entering the call: it is never carried out, nor is anything after it."""
    return Fault(syscall, "signal=KILL", str(number))


def fail_at(syscall: str, error: str, when: str) -> Fault:
    """The call fails with `error` (as "ENOSPC") and does nothing."""
    return Fault(syscall, f"error={error}", when)


@functools.cache
def can_inject() -> bool:
    """Whether strace is there and may trace (a container may forbid it)."""
    if shutil.which("strace") is None:
        return False
    command = [*fail_at("getpgrp", "EPERM", "1").wrapper, "true"]
    return subprocess.run(command, check=False, capture_output=True, timeout=20).returncode == 0
