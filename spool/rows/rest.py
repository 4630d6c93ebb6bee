"""How entries that a worker holds are put back to rest: to wait after an attempt, in a stage, or set aside.

Everything here runs in the caller's transaction, and does nothing to an entry that the worker has lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from spool.models.entry import Status
from spool.rows.statements import db_time, execute, execute_many, id_list, on_sqlite

_DOMAINS_AT_ONCE: Final = 100
_WAIT: Final = (
    "UPDATE spool_entry SET status = %s, attempts = %s, dns_failures = %s, recipients_done = recipients_done + %s,"
    " next_attempt = %s, due_at = CASE WHEN hold THEN NULL ELSE %s END, leased_by = '', last_error = %s,"
    " failures = 0, traceback = '', error_group = %s, delay_notified = %s"
    " WHERE id = %s AND leased_by = %s RETURNING recipients_done"
)


def wait(
    owner: str,
    entry_id: int,
    *,
    status: Status,
    due: datetime | None,
    attempts: int,
    dns_failures: int,
    delivered: int,
    error: str,
    error_group: str,
    delay_notified: bool,
) -> int | None:
    """Have an entry wait for its next attempt, `delivered` more recipients done; how many were before, None if lost."""
    moment = db_time(due)
    updated = execute(
        _WAIT,
        (
            status.value,
            attempts,
            dns_failures,
            delivered,
            moment,
            moment,
            error,
            error_group,
            delay_notified,
            entry_id,
            owner,
        ),
    ).fetchall()
    return int(updated[0][0]) - delivered if updated else None


def rest(owner: str, entry_id: int, status: Status, due: datetime, reason: str) -> bool:
    """Have an entry wait in a stage, with `reason` unless that is empty; whether `owner` still held it."""
    moment = db_time(due)
    updated = execute(
        "UPDATE spool_entry SET status = %s, next_attempt = %s, leased_by = '',"
        " due_at = CASE WHEN hold THEN NULL ELSE %s END, last_error = CASE WHEN %s THEN last_error ELSE %s END"
        " WHERE id = %s AND leased_by = %s RETURNING id",
        (status.value, moment, moment, not reason, reason, entry_id, owner),
    )
    return bool(updated.fetchall())


def wake(domains: Sequence[str], error_groups: Sequence[str], now: datetime, limit: int) -> int:
    """Have entries due `now` that wait until later for one of those reasons; how many. Without domains: for any.

    At most `limit`, the oldest first. Neither those on hold nor those that somebody works on.
    """
    moment, skip = db_time(now), "" if on_sqlite() else " FOR UPDATE OF e SKIP LOCKED"
    of_group = ", ".join("%s" for _ in error_groups)
    of_domain = (
        " AND EXISTS (SELECT 1 FROM spool_recipient r WHERE r.entry_id = e.id AND r.domain IN"
        f" ({', '.join('%s' for _ in domains)}) AND r.status = 'pending')"
        if domains
        else ""
    )
    statement = (
        "UPDATE spool_entry SET due_at = %s, next_attempt = %s WHERE leased_by = '' AND id IN ("
        "SELECT e.id FROM spool_entry e WHERE e.status = 'waiting' AND e.leased_by = '' AND NOT e.hold"
        f" AND e.due_at > %s AND e.error_group IN ({of_group}){of_domain} ORDER BY e.id LIMIT %s{skip})"
    )
    return int(execute(statement, [moment, moment, moment, *error_groups, *domains, limit]).rowcount)


def waiting_for(domains: Sequence[str], now: datetime, most: int) -> list[int]:
    """The ids of entries that wait until later and have an open recipient in these domains, at most so many.

    The oldest first, of each domain by its index. Neither those on hold nor those that somebody works on.
    """
    found: set[int] = set()
    of_domain = (
        "SELECT * FROM (SELECT e.id FROM spool_recipient r JOIN spool_entry e ON e.id = r.entry_id WHERE r.domain = %s"
        " AND r.status = 'pending' AND e.status = 'waiting' AND e.leased_by = '' AND NOT e.hold AND e.due_at > %s"
        " ORDER BY r.entry_id LIMIT %s) d"
    )
    moment = db_time(now)
    for start in range(0, len(domains), _DOMAINS_AT_ONCE):
        some = domains[start : start + _DOMAINS_AT_ONCE]
        parameters = [value for domain in some for value in (domain, moment, most)]
        found.update(row[0] for row in execute(" UNION ALL ".join([of_domain] * len(some)), parameters).fetchall())
    return sorted(found)[:most]


def waiting_from(behind: int, last_id: int, now: datetime, most: int) -> list[int]:
    """The ids of entries that wait until later, between two ids (without the first): the oldest, at most so many.

    Neither those on hold nor those that somebody works on.
    """
    found = execute(
        "SELECT id FROM spool_entry WHERE status = 'waiting' AND id > %s AND id <= %s AND leased_by = '' AND NOT hold"
        " AND due_at > %s ORDER BY id LIMIT %s",
        (behind, last_id, db_time(now), most),
    )
    return [row[0] for row in found.fetchall()]


def for_site(ids: Sequence[int], site: str, source: str) -> list[int]:
    """Those of some entries that have an open recipient whose mail goes to a site, from an address of ours."""
    clause, parameters = id_list(ids)
    found = execute(
        "SELECT DISTINCT r.entry_id FROM spool_recipient r JOIN spool_destinationdomain d ON d.domain = r.domain"
        f" WHERE r.entry_id {clause} AND r.status = 'pending' AND d.site = %s AND d.source IN (%s, '')",
        (*parameters, site, source),
    )
    return sorted(row[0] for row in found.fetchall())


def try_from(ids: Sequence[int], due: datetime) -> int:
    """Have entries tried from that moment on that wait until later; how many. Neither those on hold nor in work."""
    clause, parameters = id_list(ids)
    moment, skip = db_time(due), "" if on_sqlite() else " ORDER BY id FOR UPDATE SKIP LOCKED"
    statement = (
        "UPDATE spool_entry SET due_at = %s, next_attempt = %s WHERE id IN (SELECT id FROM spool_entry"
        f" WHERE id {clause} AND status = 'waiting' AND leased_by = '' AND NOT hold AND due_at > %s{skip})"
    )
    return int(execute(statement, [moment, moment, *parameters, moment]).rowcount)


def set_aside(
    owner: str, entry_id: int, *, failures: int, traceback: str, due: datetime | None, hold_reason: str, error: str
) -> bool:
    """Have an entry that raised an error wait until `due`, or on hold without one; whether `owner` still held it."""
    moment = db_time(due)
    updated = execute(
        "UPDATE spool_entry SET failures = %s, traceback = %s, status = 'waiting', next_attempt = %s, due_at = %s,"
        " leased_by = '', hold = %s, hold_reason = %s, last_error = %s WHERE id = %s AND leased_by = %s RETURNING id",
        (failures, traceback, moment, moment, due is None, hold_reason, error, entry_id, owner),
    )
    return bool(updated.fetchall())


def throttle(reasons: Sequence[tuple[str, int]]) -> None:
    """Show that entries are throttled: (why, the entry's id) of each."""
    execute_many("UPDATE spool_entry SET status = 'throttled', last_error = %s WHERE id = %s", reasons)


def postpone(times: Sequence[tuple[datetime, int]]) -> None:
    """Give throttled entries that nobody holds another time: (when, the entry's id) of each."""
    execute_many(
        "UPDATE spool_entry SET next_attempt = %s, due_at = CASE WHEN hold THEN NULL ELSE %s END"
        " WHERE id = %s AND leased_by = '' AND status = 'throttled'",
        [(moment, moment, number) for until, number in times for moment in (db_time(until),)],
    )
