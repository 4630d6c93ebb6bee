"""Secrets in groups that can be read aloud and typed: `k7qd-2mzx-…`, 20 random bits in each group."""

from __future__ import annotations

import hashlib
import re
import secrets

# RFC 4648 6, in lower case: no 0, 1, 8 or 9 to mistake for a letter.
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
GROUP = 4


def new(groups: int) -> str:
    """A secret of that many groups."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(GROUP)) for _ in range(groups))


def canonical(text: str, groups: int) -> str | None:
    """The secret that somebody has typed, however it is spaced and in whatever case; None for what is none."""
    if len(text) > 8 * groups * GROUP:
        return None
    letters = re.sub(r"[\s\-\u2010-\u2014]", "", text).lower()
    if len(letters) != groups * GROUP or not set(letters) <= set(_LETTERS):
        return None
    return "-".join(letters[at : at + GROUP] for at in range(0, len(letters), GROUP))


def digest(secret: str) -> str:
    """What is kept of it. Fast: nobody guesses 80 bits."""
    return hashlib.sha256(secret.encode()).hexdigest()
