"""What the kernel does to a child when its parent dies: a test run that is itself killed leaves no servers behind."""

from __future__ import annotations

import ctypes
import signal

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Have this process killed when the thread that started it ends (prctl(2)). Call it in the child."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
