"""A set that forgets its members after some time."""

from __future__ import annotations

import time

MOST_KEPT = 10_000


class Fading:
    """Texts, each remembered for `seconds` after it was added; never more than MOST_KEPT."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: dict[str, float] = {}

    def add(self, text: str) -> None:
        if len(self._until) >= MOST_KEPT:
            self._until.clear()
        self._until[text] = time.monotonic() + self._seconds

    def __contains__(self, text: object) -> bool:
        return self._until.get(text, 0.0) > time.monotonic()  # type: ignore[call-overload]
