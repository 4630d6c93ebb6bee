"""The trace as a file: for spreadsheets and for programs, a thousand rows at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from base.csv_cells import escaped
from spool.models import Trace

FORMATS: Final = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
_COLUMNS: Final = (
    *("ended", "created", "file_name", "sender", "recipient", "original", "outcome", "reply", "host", "auth_user"),
    *("client_ip", "ehlo_name", "tls", "port", "subject", "message_id", "size_bytes", "attempts"),
)


def as_values(trace: Trace) -> dict[str, Any]:
    """An outcome for programs, by the names of its columns; times in ISO 8601."""
    values = {name: getattr(trace, name) for name in _COLUMNS}
    return {**values, "ended": trace.ended.isoformat(), "created": trace.created.isoformat()}


def as_csv(traces: Iterable[Trace]) -> Iterator[str]:
    row = csv.writer(_Echo())
    yield row.writerow(_COLUMNS)
    for trace in traces:
        yield row.writerow([escaped("" if cell is None else str(cell)) for cell in as_values(trace).values()])


def as_json(traces: Iterable[Trace]) -> Iterator[str]:
    before = "["
    for trace in traces:
        yield f"{before}\n{json.dumps(as_values(trace), ensure_ascii=False)}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


class _Echo:
    """A file whose write gives back what it is given."""

    def write(self, text: str) -> str:
        return text


WRITERS: Final[dict[str, Callable[[Iterable[Trace]], Iterator[str]]]] = {"csv": as_csv, "json": as_json}
