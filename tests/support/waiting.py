"""Waiting for what other processes do, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable


class NeverHappened(AssertionError):
    """What a test waited for did not come true in time."""


def wait_until(predicate: Callable[[], object], what: str, seconds: float = 10.0, every: float = 0.05) -> None:
    """Return as soon as `predicate` is true; raises NeverHappened, with `what`, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > deadline:
            raise NeverHappened(f"after {seconds:g} s still not: {what}")
        time.sleep(every)
