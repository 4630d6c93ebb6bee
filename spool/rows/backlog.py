"""What the map of the backlog and the page of destinations count: entries that wait, by domain, age and error."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from spool.rows.statements import db_time, execute, from_db_time

_WAITING: Final = "SELECT id, created FROM spool_entry WHERE status = 'waiting' ORDER BY id LIMIT %s"


class OfDomain(NamedTuple):
    """Entries that wait for a domain with the same error. `error` is None for those that were looked at and do not
    wait; `recipients` are those of the domain that were looked at.
    """

    domain: str
    error: str | None
    number: int
    recipients: int
    oldest: datetime


def by_domain(most: int) -> tuple[int, list[tuple[str, int, datetime]]]:
    """How many were counted, at most the `most` oldest; and (domain, how many entries, when the oldest came)."""
    counted, first, last = execute(f"SELECT COUNT(*), MIN(id), MAX(id) FROM ({_WAITING}) e", [most]).fetchone()
    found = execute(
        f"SELECT r.domain, COUNT(DISTINCT e.id), MIN(e.created) FROM ({_WAITING}) e JOIN spool_recipient r"
        " ON r.entry_id = e.id AND r.entry_id >= %s AND r.entry_id <= %s AND r.status = 'pending' GROUP BY r.domain",
        [most, first or 0, last or 0],
    )
    return counted, [(domain, number, from_db_time(oldest)) for domain, number, oldest in found.fetchall()]


def of_domains(domains: Sequence[str], most: int) -> list[OfDomain]:
    """What waits for each of some domains, of its `most` oldest recipients: along its index, in one query."""
    if not domains:
        return []
    of_one = (
        "SELECT domain, error, COUNT(DISTINCT id), COUNT(*), MIN(created) FROM (SELECT r.domain, e.id, e.created,"
        " CASE WHEN r.status = 'pending' AND e.status = 'waiting' THEN e.error_group END AS error"
        " FROM (SELECT domain, entry_id, status FROM spool_recipient WHERE domain = %s ORDER BY entry_id LIMIT %s) r"
        " JOIN spool_entry e ON e.id = r.entry_id) w GROUP BY domain, error"
    )
    parameters = [value for domain in domains for value in (domain, most)]
    rows = execute(" UNION ALL ".join([of_one] * len(domains)), parameters).fetchall()
    return [
        OfDomain(domain, error, number, recipients, from_db_time(oldest))
        for domain, error, number, recipients, oldest in rows
    ]


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
