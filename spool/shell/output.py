"""What commands print: tables for people, JSON for machines; and how they end when there is nothing to print."""

from __future__ import annotations

import argparse
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from spool.filters import FIELDS

DONE, NOTHING, USAGE = 0, 1, 2


class Ended(Exception):
    """The command ends with `status`, after `message` went to stderr."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command prints, and how."""

    out: TextIO
    as_json: bool

    def line(self, text: str) -> None:
        """A sentence, for people only."""
        if not self.as_json:
            self.out.write(f"{printable(text)}\n")

    def values(self, shown: Any) -> None:
        """JSON, for machines only."""
        if self.as_json:
            self.out.write(f"{json.dumps(shown, indent=2, default=str)}\n")

    def table(self, rows: Sequence[dict[str, Any]]) -> None:
        """Rows with the same keys."""
        if self.as_json:
            self.values(list(rows))
        elif rows:
            table = Table(*rows[0], box=None, pad_edge=False)
            for row in rows:
                table.add_row(*(printable(str(value)) for value in row.values()))
            on_terminal = self.out.isatty() if hasattr(self.out, "isatty") else False
            # A pipe has no width: nothing may be cut there.
            console = Console(file=self.out, width=None if on_terminal else 250, markup=False, highlight=False)
            console.print(table)

    def fields(self, shown: dict[str, Any]) -> None:
        """One thing: its fields below each other."""
        self.values(shown)
        for name, value in shown.items():
            self.line(f"{name}: " + ("\n  ".join(["", *value]) if isinstance(value, list) else str(value)))


def printable(text: str) -> str:
    """`text` without what would control a terminal: much of it comes from strangers. White space becomes a space."""
    if text.isprintable():
        return text
    return "".join(map(_harmless, text))


def _harmless(letter: str) -> str:
    if letter.isprintable() or letter == "\n":
        return letter
    return " " if letter == "\t" or unicodedata.category(letter) == "Zs" else "\ufffd"


def add_filters(parser: argparse.ArgumentParser) -> None:
    """An option for each condition of the filter language, and the search box's text."""
    group = parser.add_argument_group("which messages", "All conditions must hold.")
    for field in FIELDS.values():
        group.add_argument(f"--{field.name}", default="", metavar=field.metavar, help=field.help,
                           choices=field.choices or None)  # fmt: skip
    group.add_argument("--search", default="", metavar="TEXT", help="what one would type into the search box")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
