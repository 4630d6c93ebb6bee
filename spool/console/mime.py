"""The structure of a message file, found without reading it into memory: where each part begins and ends.

A message may have 50 MB and ten thousand parts. Only delimiter lines (RFC 2046 5.1.1) are looked for, in a mapped
file, and no more parts, levels or header bytes are taken than a page can show. Never raises for what a sender wrote.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import mmap
import quopri
import re
from dataclasses import dataclass
from email import policy
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path

MOST_PARTS = 500
MOST_LEVELS = 20
LONGEST_HEADER = 64 * 1024
LONGEST_PART_HEADER = 8 * 1024

_DELIMITER = re.compile(rb"^--([^\r\n]{1,200})", re.MULTILINE)
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
_parser = BytesHeaderParser(policy=policy.compat32)


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf of a message; `start` and `end` are the bytes of its body, still encoded."""

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


def structure_of(path: Path) -> Structure:
    """The structure of the message in `path`. Raises OSError when there is no such file."""
    with path.open("rb") as file:
        size = path.stat().st_size
        if size == 0:
            return Structure(b"", (), False, 0)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _scan(content, size)


def structure_in(content: bytes, fields: Message[str, str]) -> Structure:
    """The same of a message that is in memory already, and of whose header the fields are known."""
    return _scan(content, len(content), fields)


def _scan(content: mmap.mmap | bytes, size: int, fields: Message[str, str] | None = None) -> Structure:
    header, body = _header_at(content, 0, size, LONGEST_HEADER)
    top = _parser.parsebytes(header) if fields is None else fields
    boundary = _boundary_of(top)
    if boundary is None:
        return Structure(header, (_part(top, body, size),), False, size)
    open_boundaries = [boundary]
    parts: list[Part] = []
    current: tuple[Message[str, str], int] | None = None
    for delimiter in _DELIMITER.finditer(content, body):
        line = delimiter.group(1).rstrip()
        level = _level_of(line, open_boundaries)
        if level is None:
            continue
        if current is not None:
            parts.append(_part(current[0], current[1], delimiter.start()))
            current = None
            if len(parts) >= MOST_PARTS:
                return Structure(header, tuple(parts), True, size)
        closes = line != open_boundaries[level]
        del open_boundaries[level + (0 if closes else 1) :]
        if closes:
            if not open_boundaries:
                break
            continue
        end_of_line = content.find(b"\n", delimiter.end())
        start = size if end_of_line < 0 else end_of_line + 1
        part_header, part_body = _header_at(content, start, size, LONGEST_PART_HEADER)
        message = _parser.parsebytes(part_header)
        inner = _boundary_of(message)
        if inner is None:
            current = (message, part_body)
        elif len(open_boundaries) < MOST_LEVELS:
            open_boundaries.append(inner)
        else:
            return Structure(header, tuple(parts), True, size)
    if current is not None:
        parts.append(_part(current[0], current[1], size))
    return Structure(header, tuple(parts), False, size)


def _level_of(line: bytes, boundaries: list[bytes]) -> int | None:
    """Which open multipart a delimiter line belongs to, the innermost first."""
    for level in range(len(boundaries) - 1, -1, -1):
        if line in (boundaries[level], boundaries[level] + b"--"):
            return level
    return None


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


def _boundary_of(message: Message[str, str]) -> bytes | None:
    if not _type_of(message).startswith("multipart/"):
        return None
    try:
        boundary = message.get_param("boundary")
    except (ValueError, LookupError):
        return None
    if isinstance(boundary, tuple):
        boundary = boundary[2]
    return boundary.encode("utf-8", "surrogateescape")[:198].rstrip() if boundary else None


def _type_of(message: Message[str, str]) -> str:
    try:
        return str(message.get_content_type()).lower()[:100]
    except (ValueError, LookupError):
        return "application/octet-stream"


def _part(message: Message[str, str], start: int, end: int) -> Part:
    try:
        name = message.get_filename() or ""
        charset = str(message.get_param("charset") or "")
        disposition = message.get_content_disposition() or ""
    except (ValueError, LookupError, UnicodeError):
        name, charset, disposition = "", "", "attachment"
    content_id = str(message.get("Content-ID") or "").strip().strip("<>")[:200]
    encoding = str(message.get("Content-Transfer-Encoding") or "").strip().lower()[:30]
    return Part(
        _type_of(message), charset[:40], encoding, disposition, readable(name)[:200], content_id, start, max(start, end)
    )


def readable(header: str) -> str:
    """A header's text for people: RFC 2047 words decoded, nothing that would turn the line around."""
    from spool.headers import decoded

    text = decoded(header.encode("utf-8", "surrogateescape"))
    # Direction marks can make "cod.exe" out of "exe.doc".
    return re.sub("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", "", text)


def body_of(path: Path, part: Part, most_bytes: int) -> tuple[bytes, bool]:
    """The decoded bytes of `part`, and whether it was cut at `most_bytes` of the encoded form. Raises OSError."""
    length = min(part.end - part.start, most_bytes)
    with path.open("rb") as file:
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


def text_of(raw: bytes, charset: str) -> str:
    """Bytes as text, whatever the sender called its character set."""
    for name in (charset.strip("\"' "), "utf-8"):
        try:
            if name and codecs.lookup(name)._is_text_encoding:  # type: ignore[attr-defined]
                return raw.decode(name, "strict" if name != charset else "replace").replace("\x00", "\ufffd")
        except (LookupError, UnicodeError, ValueError):
            continue
    return raw.decode("latin-1").replace("\x00", "\ufffd")
