"""The bytes of a report, out of gzip or zip, within bounds: what would unpack to more is no report."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import Final

LARGEST_BYTES: Final = 8 * 1024 * 1024
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
# Only the first members of an archive are looked at; a report is alone in its.
_MOST_MEMBERS: Final = 3
_READ_BYTES: Final = 64 * 1024
# zlib's number for a gzip header.
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


class Unreadable(ValueError):
    """It is no report, or not one that may be read; the message says why."""


def unpacked(content: bytes) -> bytes:
    """What is in it. Raises Unreadable."""
    if content.startswith(_GZIP):
        return _from_gzip(content)
    if content.startswith(_ZIP):
        return _from_zip(content)
    if len(content) > LARGEST_BYTES:
        raise Unreadable("it is too large")
    return content


def _from_gzip(content: bytes) -> bytes:
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    try:
        found = unpacker.decompress(content, LARGEST_BYTES + 1)
    except zlib.error as error:
        raise Unreadable(f"its gzip is broken: {error}") from error
    if len(found) > LARGEST_BYTES:
        raise Unreadable("it unpacks to too much")
    if not unpacker.eof:
        raise Unreadable("its gzip is cut off")
    return found


def _from_zip(content: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist()[:_MOST_MEMBERS]:
                if not member.is_dir():
                    # Its header may say anything: what counts is what comes out.
                    with archive.open(member) as file:
                        return _bounded(iter(lambda: file.read(_READ_BYTES), b""))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(f"its zip is broken: {error}") from error
    raise Unreadable("its zip is empty")


def _bounded(pieces: Iterator[bytes]) -> bytes:
    found = bytearray()
    for piece in pieces:
        found += piece
        if len(found) > LARGEST_BYTES:
            raise Unreadable("it unpacks to too much")
    return bytes(found)
