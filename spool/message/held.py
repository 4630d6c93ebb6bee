"""A message that is in memory, for whoever reads messages: what is asked of a path is asked of it too."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Held:
    """The whole of it. It can't be gone, so nothing here raises."""

    content: bytes

    def open(self, mode: str = "rb") -> BinaryIO:
        return io.BytesIO(self.content)


# Where a message is read from: its file, or memory.
Source = Path | Held


def size_of(source: Source) -> int:
    """In bytes. Raises OSError when the file is gone."""
    return len(source.content) if isinstance(source, Held) else source.stat().st_size
