"""Locks on files and folders (flock(2)): they end with the process that has them, however it ends."""

from __future__ import annotations

import fcntl


def try_lock(descriptor: int) -> bool:
    """Lock an open file or folder until it is closed; False when somebody else has it. Raises OSError."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_for_lock(descriptor: int) -> None:
    """The same as soon as nobody else has it. Raises OSError."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
