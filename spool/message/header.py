"""The header of a message: where it ends, and its fields (RFC 5322 2.2, 3.6, and 4.5 for what old ones may do)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

# So much of a message holds its header; one that is longer is not taken in.
LONGEST_HEADER: Final = 256 * 1024

# Where a message begins with one of these it has no header.
_BODY: Final = (b"\r\n", b"\n", b" ", b"\t")
_WHOLE_FIELD: Final = re.compile(rb"[^\n]*(?:\n(?=[ \t])[^\n]*)*(?:\n|\Z)")
# Blanks before the colon are obsolete, and understood (4.5.8).
_NAME: Final = re.compile(rb"([!-9;-~]+)[ \t]*:")
_FOLD: Final = re.compile(rb"\r?\n(?=[ \t])")


def split(content: bytes) -> tuple[bytes, bytes]:
    """(header lines, the rest with its empty line).

    The header is empty when the message begins with its body: by an empty line, or by a line that only goes on another.
    """
    end = _end(content)
    return (content, b"") if end < 0 else (content[:end], content[end:])


def block(content: bytes) -> bytes:
    """The header lines of a message, or of as much of it as is given."""
    end = _end(content)
    return content if end < 0 else content[:end]


def is_whole(head: bytes) -> bool:
    """Whether `head`, the beginning of a longer message, has all of its header."""
    return _end(head) >= 0


def _end(content: bytes) -> int:
    """Where the header ends, -1 if it does not: at the first empty line, whichever its line end."""
    if content.startswith(_BODY):
        return 0
    # Mail that came by SMTP has CRLF: then nothing of the body is looked at.
    crlf = content.find(b"\n\r\n")
    lf = content.find(b"\n\n", 0, crlf + 1 if crlf >= 0 else len(content))
    end = lf if lf >= 0 else crlf
    return end + 1 if end >= 0 else -1


def prepended(lines: bytes, content: bytes) -> bytes:
    """`lines`, whole fields, and what has to come between them and `content`: a body may not go on our last line."""
    return lines + b"\r\n" if content.startswith((b" ", b"\t")) else lines


def hops(header: bytes) -> int:
    """How many servers the header says a message has passed (RFC 5321 6.3)."""
    lines = header.lower()
    return lines.count(b"\nreceived:") + lines.startswith(b"received:")


def raw_fields(header: bytes) -> list[bytes]:
    """The fields of header lines, each with the lines that it goes on in, as they stand."""
    return [field for field in _WHOLE_FIELD.findall(header) if field]


class Header:
    """The fields of a header, by name in lower case; lines that are no field are passed over.

    Values are bytes as they stand, without the folds and the blanks around them.
    """

    def __init__(self, header: bytes) -> None:
        self._values: dict[str, list[bytes]] = {}
        self._fields: list[tuple[str, bytes]] = []
        for field in raw_fields(header):
            found = _NAME.match(field)
            if found is None:
                continue
            name = found[1].decode("ascii")
            value = _FOLD.sub(b"", field[found.end() :]).strip()
            self._fields.append((name, value))
            self._values.setdefault(name.lower(), []).append(value)

    @classmethod
    def of(cls, content: bytes) -> Header:
        """That of a message, or of its beginning."""
        return cls(block(content))

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """(name as written, value) of each, in their order."""
        return iter(self._fields)

    def first(self, name: str) -> bytes:
        """The value of the first field `name`, given in lower case; empty when there is none."""
        return self._values[name][0] if name in self._values else b""

    def all(self, name: str) -> list[bytes]:
        """The values of all fields `name`."""
        return self._values.get(name, [])
