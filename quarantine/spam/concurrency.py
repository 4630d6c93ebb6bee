"""How many messages the spam checks look at together."""

from __future__ import annotations

import asyncio
from typing import Final

from quarantine.engines.examined import Examined

AT_ONCE: Final = 100
LARGE_AT_ONCE: Final = 4
LARGE_BYTES: Final = 256 * 1024


class Room:
    """Of one event loop. Large messages are in memory while they are looked at: never many of them."""

    def __init__(self) -> None:
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    def for_one(self, examined: Examined) -> asyncio.Semaphore:
        """To be held while that message is looked at."""
        is_large = LARGE_BYTES < examined.size_bytes <= examined.max_content_bytes
        return self._large if is_large else self._at_once
