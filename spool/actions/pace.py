"""How a job in the background leaves room for the mail that flows beside it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from spool.rows import statements

# A worker works on at most so many entries a second, and rests after each piece for at least this share of the time
# that the piece took.
MOST_PER_SECOND = 5_000
REST = 0.1
SIZE = 500

# SQLite has one writer at a time, and mail waits for each piece. But the larger they are, the less often each page of
# an index is written; so they are as large as mail can wait for: how long that is, in seconds, and their bounds.
SQLITE_MOST_PER_SECOND = 2_000
SQLITE_REST = 0.2
SQLITE_SECONDS = 1.0
SQLITE_SMALLEST, SQLITE_LARGEST = 100, 10_000


class Pace:
    """For one job: iterate over `pieces`, and call `rest` after each."""

    def __init__(self, rests: bool) -> None:
        """`rests`: nobody is waiting for it."""
        self._rests = rests
        self._on_sqlite = statements.on_sqlite()
        self._size = SQLITE_SMALLEST if self._on_sqlite else SIZE

    def pieces(self, chunks: Iterable[list[int]]) -> Iterator[list[int]]:
        """The same entries in pieces that mail can wait for."""
        for ids in chunks:
            start = 0
            while start < len(ids):
                end = start + self._size
                yield ids[start:end]
                start = end

    def rest(self, count: int, working: float, seconds: float) -> None:
        """Sleep after a piece of `count` entries: mail waited for `working` seconds of the `seconds` that it took."""
        most, share = (SQLITE_MOST_PER_SECOND, SQLITE_REST) if self._on_sqlite else (MOST_PER_SECOND, REST)
        if self._rests:
            time.sleep(max(seconds * share, count / most - seconds))
        if not self._on_sqlite:
            return
        if working > SQLITE_SECONDS:
            self._size = max(SQLITE_SMALLEST, self._size // 2)
        elif count == self._size and working < SQLITE_SECONDS / 2:
            self._size = min(SQLITE_LARGEST, self._size * 2)
