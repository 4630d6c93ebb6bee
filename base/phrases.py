"""Small pieces of sentences for people."""

from __future__ import annotations

from collections.abc import Sequence


def first_few(things: Sequence[object], most: int) -> str:
    """ "ann, bob and 1,998 more": at most so many of them by name. Empty for none."""
    rest = len(things) - most
    return ", ".join(map(str, things[:most])) + (f" and {rest:,} more" if rest > 0 else "")
