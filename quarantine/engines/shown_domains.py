"""The domains that a reader of a From field may take for the sender's, however it is written (RFC 5322 3.4, 4.4).

Reads a field once, whatever stands in it: the standard library's reader goes down a level for each comment, and gives
up on a field that has a thousand, which would then be nobody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from spool.message import encoded_words

_LIKE_AN_ADDRESS: Final = re.compile(r"[^\s<>()\[\]\",;:@]@([^\s<>()\[\]\",;:@']{1,255})")
_AFTER_AT: Final = re.compile(r"@([^\s<>()\[\]\",;:@']{1,255})")


def shown_in(text: str) -> Iterator[str]:
    """Domains of the addresses of a field, and of what looks like one in a name or a comment; not checked, in any
    number."""
    yield from _AFTER_AT.findall(_without_remarks(text))
    yield from _LIKE_AN_ADDRESS.findall(text)
    yield from _LIKE_AN_ADDRESS.findall(encoded_words.decode(text))


def _without_remarks(text: str) -> str:
    """`text` without comments, what is quoted, and blanks within addresses. What has no end is left as it is."""
    kept: list[str] = []
    at, end = 0, len(text)
    open_from = -1
    depth = 0
    in_quotes = False
    while at < end:
        letter = text[at]
        if letter == "\\" and (depth or in_quotes):
            at += 2
            continue
        if in_quotes:
            in_quotes = letter != '"'
            open_from = open_from if in_quotes else -1
        elif depth or letter == "(":
            open_from = open_from if depth else at
            depth += {"(": 1, ")": -1}.get(letter, 0)
            if not depth:
                open_from = -1
                kept.append(" ")
        elif letter == '"':
            in_quotes, open_from = True, at
        else:
            kept.append(letter)
        at += 1
    if open_from >= 0:
        kept.append(text[open_from:])
    plain = " ".join("".join(kept).split())
    for mark in "@.":
        plain = plain.replace(f" {mark}", mark).replace(f"{mark} ", mark)
    return plain
