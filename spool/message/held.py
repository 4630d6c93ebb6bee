"""Where a message is read from: its file, memory, or rows. What readers ask of a path, they ask of each of these."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast


@dataclass(frozen=True, slots=True)
class Held:
    """A message in memory. It can't be gone, so nothing here raises."""

    content: bytes

    def open(self, mode: str = "rb") -> BinaryIO:
        return io.BytesIO(self.content)

    def read_bytes(self) -> bytes:
        return self.content

    def exists(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Streamed:
    """A large message that is read from elsewhere a piece at a time: a nameless file in `folder` takes the pieces.

    `pieces` raises FileNotFoundError when the message is gone, and what else its place raises (django.db.Error).
    """

    name: str
    size_bytes: int
    pieces: Callable[[], Iterator[bytes]]
    folder: Callable[[], Path]

    def open(self, mode: str = "rb") -> BinaryIO:
        """Raises FileNotFoundError, OSError and django.db.Error."""
        file = tempfile.TemporaryFile(dir=self.folder())  # noqa: SIM115 – the caller's
        try:
            for piece in self.pieces():
                file.write(piece)
            file.flush()
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return cast(BinaryIO, file)

    def read_head(self, size_bytes: int) -> bytes:
        """No more than the first `size_bytes` of it. Raises as `open` does."""
        head = b""
        for piece in self.pieces():
            head += piece
            if len(head) >= size_bytes:
                break
        return head[:size_bytes]

    def read_bytes(self) -> bytes:
        return b"".join(self.pieces())

    def exists(self) -> bool:
        """Whether it is there still. Raises django.db.Error."""
        try:
            next(self.pieces(), None)
        except FileNotFoundError:
            return False
        return True


# Where a message is read from.
Source = Path | Held | Streamed


def size_of(source: Source) -> int:
    """In bytes. Raises OSError when the file is gone."""
    if isinstance(source, Held):
        return len(source.content)
    return source.size_bytes if isinstance(source, Streamed) else source.stat().st_size
