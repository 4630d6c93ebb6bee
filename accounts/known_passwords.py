"""Passwords that were right a moment ago, so that a client with many sessions doesn't pay for Argon2 in each.

No password is kept, nor anything that outlives the process: only its HMAC under a key that is made at start.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

KNOWN_SECONDS = 60.0
MOST_KNOWN = 10_000


class KnownPasswords:
    """Remembers (user, stored hash, password): another stored hash is another entry, so a new password ends the old.

    Whether the user may log in is the caller's question, each time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._key = secrets.token_bytes(32)
        self._until: dict[bytes, float] = {}

    def matches(self, user_id: int, stored_hash: str, password: str) -> bool:
        """Whether this very password was verified against this very hash in the last minute."""
        return self._until.get(self._digest(user_id, stored_hash, password), 0.0) > self.clock()

    def remember(self, user_id: int, stored_hash: str, password: str) -> None:
        if len(self._until) >= MOST_KNOWN:
            # A new dict instead of an emptied one: other threads may be reading.
            self._until = {}
        self._until[self._digest(user_id, stored_hash, password)] = self.clock() + KNOWN_SECONDS

    def forget(self) -> None:
        self._until = {}

    def _digest(self, user_id: int, stored_hash: str, password: str) -> bytes:
        # The hash has a fixed alphabet without NUL, so the three can't run into each other.
        text = f"{user_id}\0{stored_hash}\0{password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, text, hashlib.sha256)
