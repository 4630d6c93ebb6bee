"""The hash of a message's body as DKIM signs it (RFC 6376 3.4.3, 3.4.4), in pieces: memory stays bounded at any size.

The time grows with the size alone; the library's own way takes its square for a long run of blanks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final, Protocol

_BLANKS: Final = re.compile(rb"[\t ]+")
_LINE_ENDS: Final = b"\r\n" * 8192


class Hash(Protocol):
    """What hashlib makes."""

    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


def body_hash(pieces: Iterable[bytes], *, relaxed: bool, algorithm: str, length: int | None = None) -> bytes:
    """The digest of the body that `pieces` make, with LF or CRLF line ends; of its first `length` bytes (l=)."""
    canonical = _Canonical(hashlib.new(algorithm, usedforsecurity=False), relaxed, length)
    held = b""
    for piece in pieces:
        text = held + piece
        # A line end may be cut in two.
        held = b"\r" if text.endswith(b"\r") else b""
        canonical.take(text[: len(text) - len(held)].replace(b"\r\n", b"\n"))
    canonical.take(held)
    return canonical.end()


class _Canonical:
    """Takes a body with LF line ends piece by piece, and has its canonical form hashed."""

    def __init__(self, hashed: Hash, relaxed: bool, length: int | None) -> None:
        self._hashed = hashed
        self._relaxed = relaxed
        self._left = length
        self._is_empty = True
        # What does not count if nothing follows: a blank before a line's end, empty lines before the body's.
        self._blank = False
        self._line_ends = 0

    def take(self, text: bytes) -> None:
        if self._relaxed:
            text = _BLANKS.sub(b" ", b" " + text if self._blank else text)
            self._blank = text.endswith(b" ")
            text = text.removesuffix(b" ").replace(b" \n", b"\n")
        content = text.rstrip(b"\n")
        if content:
            self._write_line_ends()
            self._write(content.replace(b"\n", b"\r\n"))
        self._line_ends += len(text) - len(content)

    def end(self) -> bytes:
        if self._blank:
            # In a last line without an end it counts.
            self._write_line_ends()
            self._write(b" ")
        if not self._is_empty or not self._relaxed:
            self._write(b"\r\n")
        return self._hashed.digest()

    def _write_line_ends(self) -> None:
        while self._line_ends:
            count = min(self._line_ends, len(_LINE_ENDS) // 2)
            self._write(_LINE_ENDS[: 2 * count])
            self._line_ends -= count

    def _write(self, content: bytes) -> None:
        self._is_empty = False
        if self._left is not None:
            content = content[: self._left]
            self._left -= len(content)
        self._hashed.update(content)
