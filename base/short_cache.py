"""A value that a process keeps for a moment: settings, routes, lists, the room on a disk."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class ShortCache(Generic[T]):
    """What `read` returned, for `seconds` from the moment it was asked; safe to use from any thread.

    When `read` raises one of `outlasts`, the value before stays in force for as long again, with a line in the log that
    calls it `name`; whatever else it raises, and the first time anything, is the caller's. With `one_reader` threads
    wait for the one that reads rather than read too: not for what is made at its first use, in a transaction that
    another thread may wait for.
    """

    __slots__ = ("_expired", "_kept", "_name", "_outlasts", "_read", "_seconds", "_turn", "last")

    def __init__(
        self,
        seconds: float,
        read: Callable[[], T],
        *,
        one_reader: bool = False,
        outlasts: tuple[type[Exception], ...] = (),
        name: str = "",
    ) -> None:
        self._seconds = seconds
        self._read = read
        self._outlasts = outlasts
        self._name = name
        self._turn: AbstractContextManager[object] = threading.Lock() if one_reader else nullcontext()
        # When it was asked for, and the value: always replaced together.
        self._kept: tuple[float, T] | None = None
        self._expired = 0
        # What was read last, however long ago; None before that. For an event loop, which must not ask.
        self.last: T | None = None

    def current(self) -> T:
        """The value, read when it is older than that. May take long: not for event loops."""
        kept = self._kept
        if kept is not None and time.monotonic() - kept[0] < self._seconds:
            return kept[1]
        with self._turn:
            return self._unless_fresh()

    def is_fresh(self) -> bool:
        """Whether `last` is what `current` would give."""
        kept = self._kept
        return kept is not None and time.monotonic() - kept[0] < self._seconds

    def renew(self) -> T:
        """Read it now. Raises what `read` raises."""
        with self._turn:
            return self._renewed()

    def expire(self) -> None:
        """Have the next `current` read; `last` stays."""
        self._expired += 1
        kept = self._kept
        if kept is not None:
            self._kept = (-math.inf, kept[1])

    def forget(self) -> None:
        """Drop the value."""
        self._expired += 1
        self._kept = self.last = None

    def _unless_fresh(self) -> T:
        while True:
            kept, expired = self._kept, self._expired
            if kept is not None and time.monotonic() - kept[0] < self._seconds:
                return kept[1]
            try:
                value = self._renewed()
            except self._outlasts as error:
                if kept is None:
                    raise
                log.warning("%s could not be read, the old ones stay: %s", self._name, error)
                if expired == self._expired:
                    self._kept = (time.monotonic(), kept[1])
                return kept[1]
            if expired == self._expired:
                return value

    def _renewed(self) -> T:
        # The time before the question: an answer is as old as its question.
        expired, began = self._expired, time.monotonic()
        value = self._read()
        # What `expire` was called for may have happened after the question.
        self._kept = (began if expired == self._expired else -math.inf, value)
        self.last = value
        return value
