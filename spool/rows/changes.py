"""What administrators change in entries, each by one statement for many: the ids come first, then the values.

Everything here runs in the caller's transaction, on entries that it has claimed (`entries.lock_free`) where a worker
must not have them meanwhile. Each function returns how many rows it changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from spool.models.entry import Direction, Priority
from spool.rows.entries import AT_REST
from spool.rows.statements import db_time, execute, id_list

_AT_REST: Final = f"leased_by = '', turn_at = NULL, status = {AT_REST}"
# A clean start on another way: what the one before did to it counts no more.
# What is scheduled leaves when it was to leave.
_SCHEDULED_OR: Final = "CASE WHEN status = 'scheduled' AND next_attempt > %s THEN next_attempt ELSE %s END"
_ANEW: Final = (
    f"attempts = 0, dns_failures = 0, {_AT_REST}, next_attempt = {_SCHEDULED_OR},"
    f" due_at = CASE WHEN hold THEN NULL ELSE {_SCHEDULED_OR} END"
)
# It leaves before its time: its age counts from now on.
_RELEASED: Final = "release_at = CASE WHEN release_at > %s THEN %s ELSE release_at END"
_IN_TURN: Final = "due_at = CASE WHEN turn_at IS NULL THEN due_at ELSE next_attempt END, turn_at = NULL"
_LATER: Final = "CASE WHEN next_attempt > %s THEN next_attempt ELSE %s END"


def force(ids: Sequence[int], now: datetime) -> int:
    """Give them high priority and have them tried `now`; what is on hold stays on hold."""
    moment = db_time(now)
    return _set(
        ids,
        f"priority = 3, {_AT_REST}, next_attempt = CASE WHEN hold THEN next_attempt ELSE %s END,"
        f" due_at = CASE WHEN hold THEN NULL ELSE %s END, {_RELEASED}",
        [moment, moment, moment, moment],
    )


def start_over(ids: Sequence[int], due: datetime) -> int:
    """Count their attempts from 0 again, from the delivery delay on, which ends when they are `due`."""
    moment = db_time(due)
    return _set(
        ids,
        "attempts = 0, dns_failures = 0, failures = 0, traceback = '', status = 'delay', leased_by = '',"
        " turn_at = NULL,"
        f" next_attempt = %s, due_at = CASE WHEN hold THEN NULL ELSE %s END, {_RELEASED}",
        [moment, moment, moment, moment],
    )


def set_priority(ids: Sequence[int], priority: Priority) -> int:
    """Give them a priority, whoever works on them.

    One that is not normal counts more than its sender's share: their turn is at once.
    """
    turn = "" if priority is Priority.NORMAL else f", {_IN_TURN}"
    return _set(ids, f"priority = %s{turn}", [priority.value])


def hold(ids: Sequence[int], reason: str, until: datetime | None) -> int:
    """Have no worker take them, until somebody releases them or `until` has come."""
    return _set(
        ids,
        f"hold = %s, hold_reason = %s, hold_until = %s, due_at = NULL, {_AT_REST}",
        [True, reason, db_time(until)],
    )


def release(ids: Sequence[int], now: datetime) -> int:
    """End the hold of those that are on hold: they are tried at their next attempt, or `now` when that is past."""
    moment = db_time(now)
    return _set(
        ids,
        f"hold = %s, hold_reason = '', hold_until = NULL, failures = 0, traceback = '', next_attempt = {_LATER},"
        f" due_at = {_LATER}",
        [False, moment, moment, moment, moment],
        only=" AND hold",
    )


def clear_hold_until(ids: Sequence[int]) -> int:
    """Have no hold of theirs end by itself."""
    return _set(ids, "hold_until = NULL", [])


def redirect(ids: Sequence[int], now: datetime, direction: Direction) -> int:
    """Have them tried `now`, or when they are scheduled for, with the recipients that they were given, in that
    direction."""
    moment = db_time(now)
    return _set(ids, f"{_ANEW}, direction = %s", [*[moment] * 4, direction.value])


def set_next_hop(ids: Sequence[int], now: datetime, next_hop: str) -> int:
    """Have them tried by the host `next_hop`, `now` or when they are scheduled for; by their routes without one."""
    moment = db_time(now)
    return _set(ids, f"{_ANEW}, next_hop = %s", [*[moment] * 4, next_hop])


def wake_throttled(ids: Sequence[int], now: datetime) -> int:
    """Have those tried `now` that are throttled until later, and neither on hold nor in work."""
    moment = db_time(now)
    return _set(
        ids,
        "due_at = %s, next_attempt = %s",
        [moment, moment],
        only=" AND status = 'throttled' AND NOT hold AND leased_by = '' AND due_at > %s",
        only_values=[moment],
    )


def _set(
    ids: Sequence[int], changes: str, values: Sequence[Any], *, only: str = "", only_values: Sequence[Any] = ()
) -> int:
    if not ids:
        return 0
    clause, parameters = id_list(ids)
    statement = f"UPDATE spool_entry SET {changes} WHERE id {clause}{only}"
    return int(execute(statement, [*values, *parameters, *only_values]).rowcount)
