"""A message's bytes as they go over the wire: dot-stuffed (RFC 5321 4.5.2), large ones in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

CHUNK_BYTES = 256 * 1024
# Up to here a message is read whole and sent with one write; above, memory stays bounded by a few chunks.
LARGEST_WHOLE_BYTES = 1024 * 1024


class Prefixed:
    """A file with some bytes before its own, for `chunks`."""

    def __init__(self, before: bytes, file: BinaryIO) -> None:
        self._before, self._file = before, file

    def read(self, size_bytes: int) -> bytes:
        before, self._before = self._before, b""
        return before or self._file.read(size_bytes)


def whole(content: bytes) -> bytes:
    """`content` ready for the wire, its final dot included."""
    if content.startswith(b"."):
        content = b"." + content
    # The last dot is found at the speed of memory; most attachments have none.
    if content.find(b"\r\n.", 0, content.rfind(b".") + 1) >= 0:
        content = content.replace(b"\r\n.", b"\r\n..")
    return content + (b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n")


def chunks(file: BinaryIO | Prefixed, size_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """What `file` holds ready for the wire, piece by piece, its final dot included. Raises OSError."""
    # The last two bytes before the chunk; the first line begins as if one had ended.
    before = b"\r\n"
    empty = True
    while chunk := file.read(size_bytes):
        empty = False
        stuffed = chunk.replace(b"\r\n.", b"\r\n..") if b"." in chunk else chunk
        if before == b"\r\n" and chunk.startswith(b"."):
            stuffed = b"." + stuffed
        elif before.endswith(b"\r") and chunk.startswith(b"\n."):
            stuffed = b"\n.." + stuffed[2:]
        before = (before + chunk)[-2:]
        yield stuffed
    yield b".\r\n" if before == b"\r\n" and not empty else b"\r\n.\r\n"
