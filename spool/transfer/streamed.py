"""A list as a file that is sent while it is read: CSV for spreadsheets, JSON for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from base.csv_cells import escaped

# The rows, each by the names of the columns; and those names.
Rows = Iterable[Mapping[str, Any]]
Writer = Callable[[Rows, Sequence[str]], Iterator[str]]

FORMATS: Final = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


def as_csv(rows: Rows, columns: Sequence[str], end: str = "\r\n") -> Iterator[str]:
    """A line for the columns, and one for each row, each with its `end`; a cell that is a mapping is JSON."""
    lines = csv.writer(_Echo(), lineterminator=end)
    yield lines.writerow(columns)
    for row in rows:
        yield lines.writerow([_cell(value) for value in row.values()])


def as_json(rows: Rows, columns: Sequence[str] = ()) -> Iterator[str]:
    """One array of objects."""
    before = "["
    for row in rows:
        yield f"{before}\n{json.dumps(row, ensure_ascii=False)}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return escaped(json.dumps(value, ensure_ascii=False))
    return escaped("" if value is None else str(value))


class _Echo:
    """A file whose write gives back what it is given."""

    def write(self, text: str) -> str:
        return text


WRITERS: Final[dict[str, Writer]] = {"csv": as_csv, "json": as_json}
