"""What a worker's loop finds out and its database thread writes down, together with whatever else it writes then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

# Has something called in a transaction soon, and again when that failed.
Later = Callable[[Callable[[], None]], None]


class WriteBehind(Generic[K, V]):
    """Values by key, the newest of each. `write` gets them sorted: transactions must not wait for each other."""

    def __init__(self, later: Later, write: Callable[[Sequence[tuple[K, V]]], None]) -> None:
        self._later = later
        self._write = write
        self._lock = threading.Lock()
        self._waiting: _Batch[K, V] | None = None

    def put(self, key: K, value: V) -> None:
        """Have it written down soon."""
        with self._lock:
            if self._waiting is None or self._waiting.is_begun:
                self._waiting = _Batch(self._lock, self._write)
                self._later(self._waiting.write)
            self._waiting.found[key] = value


class _Batch(Generic[K, V]):
    """Those that are written together. Called again when its transaction failed."""

    def __init__(self, lock: threading.Lock, write: Callable[[Sequence[tuple[K, V]]], None]) -> None:
        self._lock = lock
        self._write = write
        self.found: dict[K, V] = {}
        self.is_begun = False

    def write(self) -> None:
        with self._lock:
            self.is_begun = True
            found = sorted(self.found.items(), key=lambda one: repr(one[0]))
        self._write(found)
