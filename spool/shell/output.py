"""What commands print: tables for people, JSON for machines; and how they end when there is nothing to print."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from accounts.management.terminal import one_line, print_table, strings
from spool.filters import FIELDS, Field, Page

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

    def table(self, rows: Sequence[dict[str, Any]], nothing: str = "") -> None:
        """Rows with the same keys; `nothing` is what is said to people when there are none."""
        if self.as_json:
            self.values(list(rows))
        elif rows:
            print_table(self.out, [strings(row) for row in rows])
        elif nothing:
            # Not among the rows, which programs may read.
            sys.stderr.write(f"{nothing}\n")

    def fields(self, shown: dict[str, Any]) -> None:
        """One thing: its fields below each other."""
        self.values(shown)
        for name, value in shown.items():
            lines = ["", *value] if isinstance(value, list) else [value]
            self.line(f"{name}: {lines[0]}")
            for line in lines[1:]:
                self.line(f"  {line}")


def add_filters(
    parser: argparse.ArgumentParser, conditions: Mapping[str, Field] = FIELDS, title: str = "which messages"
) -> Any:
    """An option for each condition of a filter, and the search box's text; the group that they are in."""
    group = parser.add_argument_group(title, "All conditions must hold.")
    for field in conditions.values():
        group.add_argument(
            f"--{field.name}", default="", metavar=field.metavar, help=str(field.help), choices=field.choices or None
        )
    group.add_argument("--search", default="", metavar="TEXT", help="what one would type into the search box")
    return group


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def print_list(
    look: Callable[[str, int], Page[Any]], row: Callable[[Any], dict[str, Any]], limit: int, output: Output
) -> None:
    """Up to `limit` rows of a list; `look` gives the page behind a place, of at most so many. Raises Ended."""
    rows: list[dict[str, Any]] = []
    after, note, limit = "", "", max(1, limit)
    while len(rows) < limit:
        found = look(after, min(1000, limit - len(rows)))
        rows += map(row, found.entries)
        after, note = found.next, note or (found.note if found.complete else "")
        if not after:
            break
    output.table(rows, nothing="" if note else "Nothing matches.")
    if after and len(rows) >= limit:
        output.line(f"More than {limit} match; --limit shows more.")
    if note:
        output.line(note)
    if not rows:
        raise Ended(NOTHING)
