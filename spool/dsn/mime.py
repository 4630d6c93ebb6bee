"""Just enough MIME to find the parts of a bounce, however broken: never raises, bounded in depth, parts and time.

Not a general parser: the standard library's recurses per level and fails on some of what this must read.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

STATUS_TYPES: Final = ("message/delivery-status", "message/global-delivery-status")

_RETURNED_TYPES: Final = (
    "message/rfc822",
    "message/global",
    "message/partial",
    "message/global-headers",
    "text/rfc822-headers",
)
_DEEPEST: Final = 5
_MOST_PARTS: Final = 50
# RFC 2046 5.1.1 allows 70.
_LONGEST_BOUNDARY: Final = 200

_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
_CONTENT_TYPE = re.compile(r"[ \t]*([\w!#$&^.+-]{1,80}/[\w!#$&^.+-]{1,80})")
_FIELD = re.compile(r"([!-9;-~]{1,80})[ \t]*:[ \t]*")
_BASE64_ALPHABET = re.compile(rb"[^A-Za-z0-9+/]")


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf of a message: its type in lower case, and its body, decoded. What is inside a message/* is not split."""

    content_type: str
    body: bytes

    @property
    def is_message(self) -> bool:
        """Whether this is a message, or its header, as reports return it."""
        return self.content_type in _RETURNED_TYPES

    @property
    def text(self) -> str:
        """The body with LF line ends; bytes that are not UTF-8 are replaced."""
        return self.body.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


class Fields:
    """A header, or a group of fields of a report: by name in lower case, unfolded; of repeated ones the first."""

    def __init__(self, text: str) -> None:
        self._lines: dict[str, list[str]] = {}
        lines: list[str] = []
        for line in text.split("\n"):
            if line[:1] in (" ", "\t"):
                lines.append(line.strip())
                continue
            match = _FIELD.match(line)
            lines = [line[match.end() :].strip()] if match else []
            if match:
                self._lines.setdefault(match[1].lower(), lines)

    def __contains__(self, name: str) -> bool:
        return name in self._lines

    def __getitem__(self, name: str) -> str:
        """The value of the field `name`, given in lower case; "" when there is none."""
        return " ".join(self._lines.get(name, ()))

    def parameter(self, name: str, parameter: str) -> str:
        """A parameter of a MIME field, unquoted; "" when there is none."""
        match = re.search(rf';\s*{parameter}\s*=\s*(?:"([^"]*)"|([^\s;"]+))', self[name], re.IGNORECASE)
        return (match[1] or match[2] or "") if match else ""


def header_of(content: bytes) -> Fields:
    return Fields(_divided(content)[0].decode("utf-8", "replace"))


def parts_of(content: bytes) -> Iterator[Part]:
    """The leaves of a message in their order; of a message without MIME, its body as text/plain."""
    for count, part in enumerate(_leaves(content, 0), 1):
        yield part
        if count == _MOST_PARTS:
            return


def _leaves(entity: bytes, depth: int) -> Iterator[Part]:
    head, body = _divided(entity)
    header = Fields(head.decode("utf-8", "replace"))
    content_type = _content_type(header)
    boundary = header.parameter("content-type", "boundary")
    if content_type.startswith("multipart/") and 0 < len(boundary) <= _LONGEST_BOUNDARY and depth < _DEEPEST:
        pieces = _split(body, boundary.encode("utf-8", "replace"))
        if pieces:
            for piece in pieces:
                yield from _leaves(piece, depth + 1)
            return
    yield Part(content_type, _decoded(body, header["content-transfer-encoding"].lower()))


def _content_type(header: Fields) -> str:
    match = _CONTENT_TYPE.match(header["content-type"])
    return match[1].lower() if match else "text/plain"


def _divided(entity: bytes) -> tuple[bytes, bytes]:
    """Header and body, divided at the first empty line whichever its line end."""
    if entity.startswith((b"\r\n", b"\n")):
        return b"", entity
    match = _EMPTY_LINE.search(entity)
    return (entity[: match.start()], entity[match.end() :]) if match else (entity, b"")


def _split(body: bytes, boundary: bytes) -> list[bytes]:
    """What lies between the delimiter lines; a missing last one, as in a message cut short, is forgiven."""
    delimiter = re.compile(rb"^--" + re.escape(boundary) + rb"(--)?[ \t]*\r?$", re.MULTILINE)
    pieces: list[bytes] = []
    start: int | None = None
    for match in delimiter.finditer(body):
        if start is not None:
            pieces.append(body[start : match.start()])
        start = match.end() + 1
        if match[1] or len(pieces) >= _MOST_PARTS:
            return pieces
    if start is not None:
        pieces.append(body[start:])
    return pieces


def _decoded(body: bytes, encoding: str) -> bytes:
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    if encoding == "base64":
        digits = _BASE64_ALPHABET.sub(b"", body)
        # A body cut short may end within a group of four.
        digits = digits[: len(digits) // 4 * 4] if len(digits) % 4 == 1 else digits + b"=" * (-len(digits) % 4)
        try:
            return binascii.a2b_base64(digits)
        except binascii.Error:
            return body
    return body
