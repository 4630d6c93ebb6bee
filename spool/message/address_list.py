"""The addresses in a field such as To, for sending by them: all that are certain, and what is not, with the reason.

Stricter than RFC 5322 3.4 where its obsolete forms would put words together that stand apart, and kinder where people
write blanks or semicolons for commas. Nobody may get a message by a guess. Never raises; the time grows with the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from accounts.addresses import InvalidAddress, split_address
from spool.message.summary import storable

_TOKEN: Final = re.compile(
    r'"(?:[^"\\]|\\.)*"'  # a quoted string
    r"|\[[^\[\]]*\]"  # a domain literal
    r"|\s+|[<>@,;:()\"\[\]]|[^\s<>@,;:()\"\[\]]+",
    re.DOTALL,
)
_COMMENT_MARK: Final = re.compile(r"[()]|\\.", re.DOTALL)
_ROUTE: Final = re.compile(r"^@[^:<>\"]*:")
_BLANKS_AT: Final = re.compile(r"(?<!\s)\s*@\s*")
_LONGEST_SHOWN: Final = 80
_MOST_DOUBTS: Final = 20


@dataclass(slots=True)
class AddressList:
    """`addresses` as written, in their order; `doubts` are sentences about what could not be read."""

    addresses: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def doubt(self, text: str, why: str) -> None:
        if len(self.doubts) < _MOST_DOUBTS:
            self.doubts.append(f"{storable(' '.join(text.split()), _LONGEST_SHOWN)!r}: {storable(why, 300)}")


class _Unclosed(Exception):
    """A quote, a comment or a bracket has no end; all that follows might be in it."""


def read(text: str) -> AddressList:
    """What the value of an address field says."""
    found = AddressList()
    element: list[str] = []
    start = 0
    try:
        for piece, end in _pieces(text):
            if piece in (",", ";"):
                _read_element(element, found)
                element, start = [], end
            elif piece == ":" and not any(part == "@" or part.startswith("<") for part in element):
                # The name of a group (RFC 5322 3.4).
                element, start = [], end
            else:
                element.append(piece)
        _read_element(element, found)
    except _Unclosed as error:
        found.doubt(text[start : start + 4 * _LONGEST_SHOWN], str(error))
    return found


def _pieces(text: str) -> Iterator[tuple[str, int]]:
    """Each piece and where it ends; what is in angle brackets is one, and a comment is a blank. Raises _Unclosed."""
    position = 0
    while match := _TOKEN.match(text, position):
        piece, position = match[0], match.end()
        if piece == '"':
            raise _Unclosed("a quote has no end")
        if piece == "(":
            piece, position = " ", _end_of_comment(text, position)
        elif piece == "<":
            position = _end_of_angle(text, position)
            piece = text[match.start() : position]
        yield piece, position


def _end_of_comment(text: str, position: int) -> int:
    depth = 1
    while match := _COMMENT_MARK.search(text, position):
        position = match.end()
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if not depth:
            return position
    raise _Unclosed("a comment has no end")


def _end_of_angle(text: str, position: int) -> int:
    while match := _TOKEN.match(text, position):
        position = match.end()
        if match[0] == ">":
            return position
        if match[0] in ("<", '"'):
            break
    raise _Unclosed("a < has no >")


def _read_element(pieces: list[str], found: AddressList) -> None:
    """What stands between two commas."""
    text = "".join(pieces)
    if not text.strip():
        return
    try:
        if any(piece.startswith("<") for piece in pieces):
            found.addresses += _in_angles(pieces, found)
        else:
            # No blank may be in an address but around its @.
            words = _words(pieces)
            if 0 < sum("@" in word for word in words) < len(words):
                raise InvalidAddress("words stand beside the address, without the < and > that would tell them apart")
            found.addresses += [_checked(word) for word in words]
    except InvalidAddress as error:
        found.doubt(text, str(error))


def _in_angles(pieces: list[str], found: AddressList) -> list[str]:
    """The addresses in angle brackets, with or without names before them. Raises InvalidAddress."""
    places = [place for place, piece in enumerate(pieces) if piece.startswith("<")]
    after = pieces[places[-1] + 1 :]
    if after and not after[0].isspace():
        raise InvalidAddress("there is something right behind the >")
    addresses = [_checked(_inside(pieces[place])) for place in places]
    names = [piece for piece in pieces if not piece.startswith(("<", '"'))]
    others = [word for word in _words(names) if "@" in word and word not in addresses]
    if "".join(after).strip():
        found.doubt("".join(after), "it stands behind an address, and was not read")
    elif others:
        found.doubt(" ".join(others), "it stands before another address as if it were a name, and was not read")
    return addresses


def _inside(piece: str) -> str:
    """The address between < and >, without blanks around its @ and without the route that once stood before it."""
    text = piece[1:-1].strip()
    if '"' not in text:
        text = _BLANKS_AT.sub("@", text)
    return _ROUTE.sub("", text, count=1)


def _words(pieces: list[str]) -> list[str]:
    """What blanks divide, but for those around an @."""
    words: list[str] = []
    joined = False
    for piece in pieces:
        if piece.isspace():
            joined = joined and words[-1].endswith("@")
        elif words and (joined or piece == "@" and "@" not in words[-1]):
            words[-1] += piece
            joined = True
        else:
            words.append(piece)
            joined = True
    return words


def _checked(word: str) -> str:
    """`word`, when it is an address. Raises InvalidAddress."""
    if "@" not in word:
        raise InvalidAddress("it needs a local part and a domain to be an address")
    split_address(word)
    if "\ufffd" in word:
        raise InvalidAddress("it has bytes that are not UTF-8")
    return word
