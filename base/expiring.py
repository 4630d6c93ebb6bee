"""Memory that fades: answers and facts, each good for some time, never more than so many."""

from __future__ import annotations

import threading
import time
from typing import Final, Generic, TypeVar

MOST_KEPT: Final = 10_000
K = TypeVar("K")
V = TypeVar("V")


class ExpiringDict(Generic[K, V]):
    """Answers by what was asked, each for `seconds`; of more than `most` the oldest go. Safe to use from any thread."""

    def __init__(self, seconds: float, most: int = MOST_KEPT) -> None:
        self.seconds = seconds
        self.most = most
        self._lock = threading.Lock()
        # Until when each is good, the oldest first.
        self._by_key: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        """What was answered, or None when that is too long ago."""
        kept = self._by_key.get(key)
        return kept[1] if kept is not None and kept[0] > time.monotonic() else None

    def keep(self, key: K, answer: V, seconds: float | None = None) -> V:
        """Keep an answer, for `seconds` of its own if need be; returns it."""
        until = time.monotonic() + (self.seconds if seconds is None else seconds)
        with self._lock:
            self._by_key.pop(key, None)
            self._by_key[key] = (until, answer)
            while len(self._by_key) > self.most:
                del self._by_key[next(iter(self._by_key))]
        return answer

    def __len__(self) -> int:
        """How many are kept; those that are over may be among them."""
        return len(self._by_key)

    def clear(self) -> None:
        with self._lock:
            self._by_key.clear()


class ExpiringSet(Generic[K]):
    """What was so within the last `seconds`; of more than `most` the oldest go. Safe to use from any thread."""

    def __init__(self, seconds: float, most: int = MOST_KEPT) -> None:
        self._members: ExpiringDict[K, bool] = ExpiringDict(seconds, most)

    def add(self, key: K) -> None:
        self._members.keep(key, True)

    def __contains__(self, key: object) -> bool:
        return self._members.get(key) is not None  # type: ignore[arg-type]

    def is_new(self, key: K) -> bool:
        """Whether it is not there; from now on it is."""
        return key not in self and self._members.keep(key, True)

    def clear(self) -> None:
        self._members.clear()
