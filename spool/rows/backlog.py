"""What the map of the backlog counts: the oldest entries that wait, by domain and age, and by error."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from spool.rows.statements import db_time, execute

_WAITING: Final = "SELECT id, created FROM spool_entry WHERE status = 'waiting' ORDER BY id LIMIT %s"


def by_domain_and_age(edges: Sequence[datetime], most: int) -> tuple[int, list[tuple[str, int, int]]]:
    """How many were counted, at most the `most` oldest; and (domain, before how many of `edges`, how many entries)."""
    moments = [db_time(edge) for edge in edges]
    bucket = " + ".join("CASE WHEN e.created <= %s THEN 1 ELSE 0 END" for _ in moments)
    counted, first, last = execute(f"SELECT COUNT(*), MIN(id), MAX(id) FROM ({_WAITING}) e", [most]).fetchone()
    # The bounds of the ids keep PostgreSQL from reading every recipient there is.
    found = execute(
        f"SELECT domain, {bucket} AS bucket, COUNT(*) FROM (SELECT DISTINCT r.domain, e.id, e.created"
        f" FROM ({_WAITING}) e JOIN spool_recipient r ON r.entry_id = e.id AND r.entry_id >= %s AND r.entry_id <= %s"
        " AND r.status = 'pending') e GROUP BY domain, bucket",
        [*moments, most, first or 0, last or 0],
    )
    return counted, list(found.fetchall())


def by_error(most: int, most_errors: int) -> list[tuple[str, int]]:
    """The errors that most of the `most` oldest wait for, each with their number."""
    found = execute(
        "SELECT error_group, COUNT(*) AS n FROM (SELECT error_group FROM spool_entry WHERE status = 'waiting'"
        " ORDER BY id LIMIT %s) e WHERE error_group <> '' GROUP BY error_group ORDER BY n DESC, error_group LIMIT %s",
        [most, most_errors],
    )
    return list(found.fetchall())
