"""The structure of a message file, found without reading it into memory: where each part begins and ends.

A message may have 50 MB and ten thousand parts. Only delimiter lines (RFC 2046 5.1.1) are looked for, in a mapped
file, and no more parts, levels or header bytes are taken than a page can show. Never raises for what a sender wrote.
"""

from __future__ import annotations

import base64
import binascii
import mmap
import os
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from spool.message.header import Header
from spool.message.held import Held, Source
from spool.message.parameters import split_value
from spool.message.summary import decoded

MOST_PARTS: Final = 500
MOST_LEVELS: Final = 100
# Lines that look like delimiters; long patches and logs have many that are none.
MOST_LINES: Final = 500_000
LONGEST_HEADER: Final = 64 * 1024
LONGEST_PART_HEADER: Final = 8 * 1024

# RFC 2046 5.1.1 asks for 70 characters at most, RFC 5322 2.1.1 for lines of 998.
_LONGEST_DELIMITER: Final = 998
_END_OF_HEADER: Final = re.compile(rb"\r?\n\r?\n")
_TYPE: Final = re.compile(r"[\w!#$&^.+-]{1,60}/[\w!#$&^.+-]{1,60}", re.ASCII)
_TOKEN: Final = re.compile(r"[^\s;(]*")


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf of a message; `start` and `end` are the bytes of its body, still encoded.

    A multipart of which no delimiter comes is one too, however much is run together in it.
    """

    content_type: str
    charset: str
    encoding: str
    disposition: str
    name: str
    content_id: str
    start: int
    end: int

    @property
    def size_bytes(self) -> int:
        """About how large it is when decoded."""
        encoded = self.end - self.start
        return encoded * 3 // 4 if self.encoding == "base64" else encoded

    @property
    def is_attachment(self) -> bool:
        shown = self.content_type in ("text/plain", "text/html") and not self.name
        return self.disposition == "attachment" or not (shown or self.content_id)


@dataclass(frozen=True, slots=True)
class Structure:
    """The header of a message and its leaves; `cut` says that there are more parts than were looked at."""

    header: bytes
    parts: tuple[Part, ...]
    cut: bool
    size_bytes: int

    def first(self, content_type: str) -> Part | None:
        """The first leaf of this type that is meant to be read, not saved."""
        for part in self.parts:
            if part.content_type == content_type and not part.is_attachment:
                return part
        return None

    @property
    def attachments(self) -> list[Part]:
        return [part for part in self.parts if part.is_attachment]


def structure_of(source: Source) -> Structure:
    """The structure of the message in `source`. Raises OSError when there is no such file."""
    if isinstance(source, Held):
        return structure_in(source.content)
    with source.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return Structure(b"", (), False, 0)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _scan(content, size)


def structure_in(content: bytes, header: Header | None = None) -> Structure:
    """The same of a message that is in memory, and of whose header the fields may be known already."""
    return _scan(content, len(content), header)


def _scan(content: mmap.mmap | bytes, size: int, known: Header | None = None) -> Structure:
    lines, body = _header_at(content, 0, size, LONGEST_HEADER)
    top = Header(lines) if known is None else known
    boundary = _boundary_of(top)
    if boundary is None:
        return Structure(lines, (_part(top, body, size),), False, size)
    open_boundaries = [boundary]
    levels = _levels(open_boundaries)
    parts: list[Part] = []
    multiparts = 1
    # What began last, and where its body does: a leaf, or a multipart of which no delimiter has come yet.
    current: tuple[Header, int] | None = (top, body)
    is_leaf = False
    for start, line in _delimiters(content, body, size):
        if line is None:
            return Structure(lines, tuple(parts), True, size)
        # Looked up, not compared with each: there may be half a million lines, and a hundred levels.
        level = levels.get(line)
        if level is None:
            continue
        closes = line != open_boundaries[level]
        opens_current = not (is_leaf or closes) and level == len(open_boundaries) - 1
        if current is not None and not opens_current:
            parts.append(_part(current[0], current[1], start))
            if len(parts) >= MOST_PARTS:
                return Structure(lines, tuple(parts), True, size)
        current = None
        del open_boundaries[level + (0 if closes else 1) :]
        levels = _levels(open_boundaries)
        if closes:
            if not open_boundaries:
                break
            continue
        end_of_line = content.find(b"\n", start)
        following = size if end_of_line < 0 else end_of_line + 1
        part_lines, part_body = _header_at(content, following, size, LONGEST_PART_HEADER)
        header = Header(part_lines)
        inner = _boundary_of(header)
        current, is_leaf = (header, part_body), inner is None
        if inner is None:
            continue
        if len(open_boundaries) < MOST_LEVELS and multiparts < MOST_PARTS:
            open_boundaries.append(inner)
            levels = _levels(open_boundaries)
            multiparts += 1
        else:
            return Structure(lines, tuple(parts), True, size)
    if current is not None:
        parts.append(_part(current[0], current[1], size))
    return Structure(lines, tuple(parts), False, size)


def _delimiters(content: mmap.mmap | bytes, body: int, size: int) -> Iterator[tuple[int, bytes | None]]:
    """(where it begins, what stands behind the hyphens) of each line that may be a delimiter; at last None when there
    are more than MOST_LINES."""
    start = body if content[body : body + 2] == b"--" else content.find(b"\n--", max(0, body - 1)) + 1
    count = 0
    while start > 0 or (start == body == 0):
        count += 1
        if count > MOST_LINES:
            yield start, None
            return
        end = content.find(b"\n", start, start + _LONGEST_DELIMITER + 4)
        if end >= 0 or start + _LONGEST_DELIMITER + 4 >= size:
            yield start, content[start + 2 : size if end < 0 else end].rstrip()
        start = content.find(b"\n--", start) + 1


def _levels(boundaries: list[bytes]) -> dict[bytes, int]:
    """Which open multipart a delimiter line belongs to, by what it says: the innermost of those with that boundary."""
    found: dict[bytes, int] = {}
    for level, boundary in enumerate(boundaries):
        found[boundary] = found[boundary + b"--"] = level
    return found


def _header_at(content: mmap.mmap | bytes, start: int, size: int, longest: int) -> tuple[bytes, int]:
    """The header block that begins at `start`, and where the body after it does."""
    # A part may have no header at all: then the empty line stands first.
    for empty in (b"\r\n", b"\n"):
        if content[start : start + len(empty)] == empty:
            return b"", start + len(empty)
    found = _END_OF_HEADER.search(content, start, min(size, start + longest))
    if found is None:
        return content[start : min(size, start + longest)], min(size, start + longest)
    return content[start : found.start()], found.end()


def _boundary_of(header: Header) -> bytes | None:
    content_type, parameters = split_value(header.first("content-type"))
    boundary = parameters.get("boundary", "")
    if not content_type.startswith("multipart/") or not boundary:
        return None
    return boundary.encode("utf-8", "surrogateescape")[:_LONGEST_DELIMITER].rstrip() or None


def _part(header: Header, start: int, end: int) -> Part:
    content_type, parameters = split_value(header.first("content-type"))
    disposition, more = split_value(header.first("content-disposition"))
    # RFC 2045 5.2: what has no type, or none that can be read, is text.
    found = _TYPE.match(content_type)
    content_id = header.first("content-id").decode("utf-8", "replace").strip("<> ")[:200]
    return Part(
        found[0] if found else "text/plain",
        parameters.get("charset", "")[:60],
        _token(header.first("content-transfer-encoding")),
        disposition[:30],
        readable(more.get("filename") or parameters.get("name", ""))[:200],
        content_id,
        start,
        max(start, end),
    )


def _token(value: bytes) -> str:
    """The first word of a field: some senders write `base64;`."""
    found = _TOKEN.match(value[:100].decode("utf-8", "replace").strip())
    return found[0].lower() if found else ""


def readable(text: str) -> str:
    """A header's text for people: RFC 2047 words decoded, nothing that would turn the line around."""
    return decoded(text.encode("utf-8", "surrogateescape"))


def body_of(source: Source, part: Part, most_bytes: int) -> tuple[bytes, bool]:
    """The decoded bytes of `part`, and whether it was cut at `most_bytes` of the encoded form. Raises OSError."""
    length = min(part.end - part.start, most_bytes)
    with source.open("rb") as file:
        file.seek(part.start)
        encoded = file.read(length)
    return _decode(encoded, part.encoding), part.end - part.start > most_bytes


def body_in(content: bytes, part: Part, most_bytes: int) -> bytes:
    """The same of a message in memory, without saying whether it was cut."""
    return _decode(content[part.start : min(part.end, part.start + most_bytes)], part.encoding)


def _decode(encoded: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        letters = re.sub(rb"[^A-Za-z0-9+/]", b"", encoded)
        letters = letters[: len(letters) - (1 if len(letters) % 4 == 1 else 0)]
        try:
            return base64.b64decode(letters + b"=" * (-len(letters) % 4))
        except (binascii.Error, ValueError):
            return encoded
    if encoding == "quoted-printable":
        return quopri.decodestring(encoded)
    return encoded
