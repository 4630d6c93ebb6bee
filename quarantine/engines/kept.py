"""Answers of a moment ago: much mail comes from the same few."""

from __future__ import annotations

import time
from typing import Final, Generic, TypeVar

MOST_KEPT: Final = 10_000
K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Answers by what was asked, for so many seconds; all are dropped when there would be more than `most`."""

    def __init__(self, seconds: float, most: int = MOST_KEPT) -> None:
        self._seconds = seconds
        self._most = most
        self._by_key: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        """What was answered, or None when that is too long ago."""
        found = self._by_key.get(key)
        return found[1] if found is not None and found[0] > time.monotonic() else None

    def keep(self, key: K, answer: V) -> V:
        """Keep an answer; returns it."""
        if len(self._by_key) >= self._most:
            self._by_key.clear()
        self._by_key[key] = (time.monotonic() + self._seconds, answer)
        return answer

    def clear(self) -> None:
        self._by_key.clear()
