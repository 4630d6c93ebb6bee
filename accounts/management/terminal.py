"""What commands print, harmless to a terminal: the one way out of every command.

Much of it comes from strangers: subjects, addresses, what hosts answered. Whatever would control a terminal, turn the
direction of text, begin a line that looks like ours or be read as rich's markup comes out as what it is or as U+FFFD.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, TextIO, cast

from django.core.management.base import BaseCommand, OutputWrapper
from rich.console import Console
from rich.table import Table
from rich.text import Text

from base.times import exact

# Wider than any table: a pipe has no width, and nothing may be cut there.
_NO_WIDTH = 1_000_000


class Printed(OutputWrapper):
    """A command's stream: lets through only what is `printable`, and what the stream's encoding can say."""

    def write(  # type: ignore[override]
        self, msg: str = "", style_func: Callable[[str], str] | None = None, ending: str | None = None
    ) -> None:
        text = printable(str(msg))
        encoding = getattr(self._out, "encoding", None)
        if encoding and not text.isascii():
            text = text.encode(encoding, "replace").decode(encoding)
        super().write(text, style_func, ending)


class TerminalCommand(BaseCommand):
    """A command of ours: its streams are Printed ones, also those that call_command() gives it."""

    # Django's look at URLs, pages and templates takes longer than most commands. What starts the programs has it first.
    requires_system_checks: list[str] | tuple[str, ...] | Literal["__all__"] = ()

    @property
    def stdout(self) -> Printed:
        return self._stdout

    @stdout.setter
    def stdout(self, stream: OutputWrapper) -> None:
        self._stdout = Printed(cast(TextIO, stream._out))

    @property
    def stderr(self) -> Printed:
        return self._stderr

    @stderr.setter
    def stderr(self, stream: OutputWrapper) -> None:
        self._stderr = Printed(cast(TextIO, stream._out))


def printable(text: str) -> str:
    """`text` without what would control a terminal. White space becomes a space; ends of lines stay."""
    if text.isprintable():
        return text
    return "".join(map(_harmless, text))


def as_shown(text: str) -> str:
    """A piece of a file's text, for a terminal: the ends of its lines are no business of that."""
    return printable(text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    """The same for a value within a line."""
    return text if text.isprintable() else printable(text).replace("\n", " ")


def print_table(out: TextIO | OutputWrapper, rows: Sequence[dict[str, str]], *, fold: bool = True) -> None:
    """Rows with the same keys, as columns. On a terminal long cells fold, unless its own wrapping is preferred."""
    if not rows:
        return
    table = Table(*rows[0], box=None, pad_edge=False)
    for row in rows:
        # As Text: no word of a cell is markup or an emoji's name.
        table.add_row(*(Text(one_line(value)) for value in row.values()))
    on_terminal = bool(out.isatty()) if hasattr(out, "isatty") else False
    width = Console().width if on_terminal and fold else _NO_WIDTH
    drawn = io.StringIO()
    Console(file=drawn, width=width, markup=False, emoji=False, highlight=False).print(table)
    out.write(drawn.getvalue().rstrip("\n") + "\n")


def strings(row: dict[str, Any]) -> dict[str, str]:
    """A row's values as text; moments as everywhere, to the second and with their zone."""
    return {name: exact(value) if isinstance(value, datetime) else str(value) for name, value in row.items()}


def _harmless(letter: str) -> str:
    if letter.isprintable() or letter == "\n":
        return letter
    return " " if letter == "\t" or unicodedata.category(letter) == "Zs" else "\ufffd"
