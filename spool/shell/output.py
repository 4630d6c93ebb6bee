"""What commands print: tables for people, JSON for machines; and how they end when there is nothing to print."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from accounts.management.terminal import one_line, print_table, strings
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
            self.out.write(f"{one_line(text)}\n")

    def values(self, shown: Any) -> None:
        """JSON, for machines only."""
        if self.as_json:
            self.out.write(f"{json.dumps(shown, indent=2, default=str)}\n")

    def table(self, rows: Sequence[dict[str, Any]]) -> None:
        """Rows with the same keys."""
        if self.as_json:
            self.values(list(rows))
        elif rows:
            print_table(self.out, [strings(row) for row in rows])

    def fields(self, shown: dict[str, Any]) -> None:
        """One thing: its fields below each other."""
        self.values(shown)
        for name, value in shown.items():
            lines = ["", *value] if isinstance(value, list) else [value]
            self.line(f"{name}: {lines[0]}")
            for line in lines[1:]:
                self.line(f"  {line}")


def add_filters(parser: argparse.ArgumentParser) -> None:
    """An option for each condition of the filter language, and the search box's text."""
    group = parser.add_argument_group("which messages", "All conditions must hold.")
    for field in FIELDS.values():
        group.add_argument(
            f"--{field.name}", default="", metavar=field.metavar, help=field.help, choices=field.choices or None
        )
    group.add_argument("--search", default="", metavar="TEXT", help="what one would type into the search box")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
