"""Python's search for garbage in cycles, as a process wants it that lives long and makes many short-lived objects."""

from __future__ import annotations

import gc
from typing import Final

# New objects before the youngest are looked through. With Python's own 700 the mail in flight is, all the time.
_NEW_OBJECTS: Final = 10_000
# So many searches of a generation before one of the next older.
_SEARCHES: Final = 20


def settle() -> None:
    """Call it when all is loaded, and before a fork: what is there now stays, and is never looked through again.

    A search through all that Django and its models are made of takes some 25 ms, and copies their pages in a child.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, _SEARCHES, _SEARCHES)
