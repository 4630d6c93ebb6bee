"""Engines that did not answer rest for a while, so that each message does not wait for them again.

A first failure costs a few seconds; each further one in a row doubles that. The memory is the process's own: after a
restart everything is tried once.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

log = logging.getLogger(__name__)

LONGEST_SECONDS = 300.0
# Wishes for a try before the time are granted this often.
WAKE_SECONDS = 5.0


@dataclass(slots=True)
class _Rest:
    failures: int
    until: float


class Cooldown:
    """Who rests. `first_seconds` after the failure number `allowed`; before it nobody does."""

    def __init__(self, first_seconds: float = 5.0, allowed: int = 1) -> None:
        self._first_seconds = first_seconds
        self._allowed = allowed
        self._rests: dict[str, _Rest] = {}
        self._woken = float("-inf")

    def resting(self, name: str) -> bool:
        found = self._rests.get(name)
        return found is not None and found.until > time.monotonic()

    def failed(self, name: str, why: str) -> None:
        """Note that it did not answer. What was asked at the same time counts as one failure."""
        if self.resting(name):
            return
        failures = 1 + (self._rests[name].failures if name in self._rests else 0)
        seconds = 0.0
        if failures >= self._allowed:
            seconds = min(self._first_seconds * 2 ** min(failures - self._allowed, 20), LONGEST_SECONDS)
            log.error("%s does not answer and is left out for %.0f s: %s", name, seconds, why)
        self._rests[name] = _Rest(failures, time.monotonic() + seconds)

    def answered(self, name: str) -> None:
        """It works again."""
        if self._rests.pop(name, None) is not None:
            log.info("%s answers again", name)

    def wake(self) -> None:
        """Have all tried now, as somebody wishes; who fails again rests for as long as after any further failure."""
        now = time.monotonic()
        if now - self._woken >= WAKE_SECONDS:
            self._woken = now
            for rest in self._rests.values():
                rest.until = now

    def forget(self) -> None:
        self._rests.clear()
