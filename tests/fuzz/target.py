"""What is fuzzed: a function that takes any bytes, with the words that its inputs are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True)
class Target:
    """`run` raises for whatever is wrong: an error that is not documented, a property that does not hold.

    Its inputs are made of the words in `words/NAME.txt`, and of those of the files in `also`. `longest` is how many
    bytes its door lets in, and `seconds` the processor time that as many may take: generous, for what is looked for
    takes minutes. `pumped` is False where a process of its own bounds the time.
    """

    name: str
    run: Callable[[bytes], object]
    also: tuple[str, ...] = ()
    longest: int = 256 * 1024
    seconds: float = 3.0
    pumped: bool = True

    @cached_property
    def words(self) -> tuple[bytes, ...]:
        """Pieces of its language: one on a line, with the escapes of Python."""
        files = [_FOLDER / "words" / f"{name}.txt" for name in (self.name, *self.also)]
        lines = [line for file in files if file.exists() for line in file.read_bytes().split(b"\n") if line]
        return tuple(line.decode("unicode_escape").encode("latin-1") for line in lines)

    @property
    def kept(self) -> list[Path]:
        """The inputs of the corpus: those that once failed, and a few that reach far."""
        return sorted((_FOLDER / "corpus" / self.name).glob("*"))
