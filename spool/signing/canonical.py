"""How a message is read before it is hashed: relaxed canonicalization (RFC 6376 3.4.2, 3.4.4).

Blanks may change on the way without breaking a signature. Work and memory are linear in the size, whatever is in it.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

# Begins with what is seldom, so that it is looked for at the speed of memory.
_BLANKS: Final = re.compile(rb"  +")
_FOLD: Final = re.compile(rb"\r?\n(?=[ \t])")
# How much of a run of empty lines is hashed at once.
_LINES: Final = b"\r\n" * 4096


def field(raw: bytes) -> bytes:
    """A header field, as it stands with its folds, without its last line end."""
    name, _colon, value = raw.partition(b":")
    return name.strip(b" \t").lower() + b":" + _reduced(_FOLD.sub(b"", value)).strip(b" \t\r\n")


def _reduced(text: bytes) -> bytes:
    """With one blank in the place of each run of blanks and tabs."""
    return _BLANKS.sub(b" ", text.replace(b"\t", b" "))


class Body:
    """The SHA-256 of a body, given piece by piece."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        # What can't be judged before the next piece: a blank or a CR at the end. And how many line ends came last: they
        # count only if something follows.
        self._carry = b""
        self._line_ends = 0
        self._is_empty = True

    def update(self, piece: bytes) -> None:
        """More of the body, as it goes over the wire but without its dots."""
        text = _reduced(self._carry + piece)
        self._carry = next((end for end in (b" \r", b" ", b"\r") if text.endswith(end)), b"")
        self._add(text[: len(text) - len(self._carry)].replace(b" \r\n", b"\r\n"))

    def digest(self) -> bytes:
        """The hash of it all; nothing may come after this. A last line without an end gets one, as on the wire."""
        if self._carry.endswith(b"\r"):
            self._add(self._carry)
        if not self._is_empty:
            self._hash.update(b"\r\n")
        return self._hash.digest()

    def _add(self, text: bytes) -> None:
        core, count = _without_last_line_ends(text)
        if not core:
            self._line_ends += count
            return
        whole, rest = divmod(self._line_ends, 4096)
        for _ in range(whole):
            self._hash.update(_LINES)
        self._hash.update(_LINES[: 2 * rest] + core)
        self._line_ends = count
        self._is_empty = False


def _without_last_line_ends(text: bytes) -> tuple[bytes, int]:
    """What comes before the CRLFs at the end, and how many of them there are."""
    stripped = text.rstrip(b"\r\n")
    tail = text[len(stripped) :]
    at = len(tail)
    while at >= 2 and tail[at - 2 : at] == b"\r\n":
        at -= 2
    return stripped + tail[:at], (len(tail) - at) // 2


def body_hash(body: bytes) -> bytes:
    """The hash of a whole body."""
    whole = Body()
    whole.update(body)
    return whole.digest()
