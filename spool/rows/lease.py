"""Leases in the table of entries: taking and keeping them, each in one statement for many entries.

`due_at` of an entry under lease is the moment the lease lapses. What an entry is taken with are the columns of
LeasedEntry. What is early (`turn_at`, spool.flow.shares) is taken when less is due than there is room for. Everything
here runs in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Final

from spool.files import working
from spool.message.envelope import LeasedColumns, LeasedEntry, LeasedRecipient
from spool.message.held import Streamed
from spool.models.content import IN_DATABASE
from spool.models.entry import Status
from spool.models.recipient import Kind
from spool.rows import contents, recipients
from spool.rows.columns import Row, columns_of
from spool.rows.entries import AT_REST
from spool.rows.statements import db_time, execute, from_db_time, id_list, on_sqlite

_COLUMNS: Final = columns_of(LeasedColumns)
_PLACE: Final = itemgetter(_COLUMNS.index("subspool"), _COLUMNS.index("file_name"))
# Where a message file is, by its subspool and name (spool.files.store.path_of).
PathOf = Callable[[str, str], Path]
_KINDS: Final = {kind.value: kind for kind in Kind}

# One look at the index of leases for each priority: due_at needs no index of its own; and one at what is early.
_FIRST_EARLY: Final = (
    "SELECT 0, next_attempt FROM (SELECT next_attempt FROM spool_entry{index} WHERE turn_at IS NOT NULL"
    " ORDER BY direction, priority, turn_at LIMIT 1) AS early"
)
_EARLIEST_DUE: Final = " UNION ALL ".join(
    [_FIRST_EARLY]
    + [
        f"SELECT {priority}, MIN(due_at) FROM spool_entry WHERE priority = {priority} AND due_at IS NOT NULL"
        for priority in (3, 2, 1)
    ]
)
_EARLIEST_DUE_BUT_LOW: Final = _EARLIEST_DUE.rpartition(" UNION ALL ")[0]
_OF_TURNS: Final = " INDEXED BY entry_turn"
_BY_PRIORITY = """
    SELECT id FROM (SELECT id FROM spool_entry{index} WHERE priority = {priority}{only} AND due_at <= %s
                    AND (leased_by = '' OR %s) ORDER BY due_at LIMIT %s{lock}) AS of_{priority}"""


# The same for what is early: those first whose turn is first, of each direction and of the priorities that have turns.
# A worker of the version before leaves `turn_at` in what it has taken: that waits as its other columns say.
_EARLY: Final = """
    SELECT id FROM (SELECT id, turn_at FROM ({each}) AS early ORDER BY turn_at LIMIT %s) AS next_turns"""
_EARLY_OF: Final = """
    SELECT id, turn_at FROM (SELECT id, turn_at FROM spool_entry{index} WHERE direction = {direction}
                             AND priority = {priority}{only} AND turn_at > %s AND leased_by = '' AND next_attempt <= %s
                             ORDER BY turn_at LIMIT %s{lock}) AS early_{direction}_{priority}"""


# Which room an entry waits for, when it is due.
ROOMS: Final = ("local", "remote", "low")
# Further mail for this server alone than that is not looked past for other mail: then that is what is told.
_MOST_LOOKED_PAST: Final = 10_000
_OVERDUE: Final = " UNION ALL ".join(
    [
        *(
            f"SELECT 'local', MIN(due_at) FROM spool_entry{{index}}"
            f" WHERE priority = {priority} AND direction = 1 AND due_at <= %s"
            for priority in (3, 2, 1)
        ),
        *(
            f"SELECT '{room}', MIN(due_at) FROM (SELECT due_at, direction FROM spool_entry WHERE priority = {priority}"
            f" AND due_at <= %s ORDER BY due_at LIMIT {_MOST_LOOKED_PAST}) AS of_{priority} WHERE direction <> 1"
            for room, priority in (("remote", 3), ("remote", 2), ("low", 1))
        ),
    ]
)
_OVERDUE_SQLITE: Final = _OVERDUE.format(index=" INDEXED BY entry_lease_local")
_OVERDUE_POSTGRESQL: Final = _OVERDUE.format(index="")


def _pick(*, lock: str = "", index: str = "", only: str = "") -> str:
    return " UNION ALL ".join(_BY_PRIORITY.format(priority=p, lock=lock, index=index, only=only) for p in (3, 2, 1))


def _pick_early(directions: Sequence[int], *, lock: str = "", index: str = "", only: str = "") -> str:
    kinds = [(direction, priority) for direction in directions for priority in (3, 2)]
    return _EARLY.format(
        each=" UNION ALL ".join(
            _EARLY_OF.format(direction=direction, priority=priority, lock=lock, index=index, only=only)
            for direction, priority in kinds
        )
    )


_SET_LEASE = """
    leased_by = %s, due_at = %s, turn_at = NULL,
    status = CASE WHEN status IN ('delay', 'scheduled') OR (%s AND (status <> 'waiting' OR %s))
             THEN CASE direction WHEN 1 THEN 'local' ELSE 'remote' END ELSE status END"""
_LEASE_SQLITE = (
    f"UPDATE spool_entry SET {_SET_LEASE} WHERE id IN (SELECT id FROM ({{pick}} LIMIT %s))"
    f" RETURNING {', '.join(_COLUMNS)}"
)
_LEASE_POSTGRESQL = (
    "WITH picked AS MATERIALIZED (SELECT id FROM ({pick}) AS due LIMIT %s)"
    f" UPDATE spool_entry SET {_SET_LEASE} FROM picked WHERE spool_entry.id = picked.id"
    f" RETURNING {', '.join('spool_entry.' + name for name in _COLUMNS)}"
)
_ONLY_LOCAL = " AND direction = 1"
_SKIP = " FOR UPDATE SKIP LOCKED"
_BOTH, _LOCAL = (1, 2), (1,)


def _leases(
    statement: str, *, lock: str = "", early: str = "", local: str = "", only: str = ""
) -> dict[tuple[bool, bool], str]:
    """By whether only mail for this server is wanted, which has an index of its own, and whether what is early is."""
    due = {False: _pick(lock=lock, only=only), True: _pick(lock=lock, index=local, only=_ONLY_LOCAL + only)}
    turns = {
        False: _pick_early(_BOTH, lock=lock, index=early, only=only),
        True: _pick_early(_LOCAL, lock=lock, index=early, only=only),
    }
    statements = {(only_local, False): statement.format(pick=pick) for only_local, pick in due.items()}
    for only_local, pick in due.items():
        statements[only_local, True] = statement.format(pick=f"{pick} UNION ALL {turns[only_local]}")
    return statements


# SQLite knows neither how little of the other index is local nor how little is early.
_LEASES_SQLITE = _leases(_LEASE_SQLITE, early=_OF_TURNS, local=" INDEXED BY entry_lease_local")
_LEASES_POSTGRESQL = _leases(_LEASE_POSTGRESQL, lock=_SKIP)
# For who has not the files of the others.
_LEASES_IN_DATABASE = _leases(_LEASE_POSTGRESQL, lock=_SKIP, only=f" AND subspool = '{IN_DATABASE}'")


def lease(
    owner: str,
    now: datetime,
    until: datetime,
    limit: int,
    *,
    straight: bool,
    no_delay: bool,
    lapsed: bool,
    low: int,
    reserved: int = 0,
    only_local: bool = False,
    early: bool = False,
    without_files: bool = False,
    path_of: PathOf,
) -> list[LeasedEntry]:
    """Take up to `limit` due entries, high priority first, then by age: one statement (the one-holder invariant).

    With `early`, also entries that are more than their senders' shares, where less than that is due.

    New mail counts as on its way out from here on: most stages are over before anybody could see them. `straight` says
    that no stage but the delay stands before delivery, so that this is true of all; `no_delay` that a retry need not
    be delayed either; without `lapsed` nothing is taken that somebody has held. Up to `low` of them may have low
    priority, for which normal priority leaves `reserved`. `without_files` is for a machine that has not the spool's
    files: nothing is taken but what the database has for good.
    """
    moment = db_time(now)
    picks = [moment, lapsed, limit, moment, lapsed, limit - reserved, moment, lapsed, min(low, limit)]
    if early:
        most = limit - reserved
        picks += [moment, moment, most] * (2 if only_local else 4) + [most]
    lease_values = [owner, db_time(until), straight, no_delay]
    if on_sqlite():
        return _leased(execute(_LEASES_SQLITE[only_local, early], [*lease_values, *picks, limit]).fetchall(), path_of)
    leases = _LEASES_IN_DATABASE if without_files else _LEASES_POSTGRESQL
    found = execute(leases[only_local, early], [*picks, limit, *lease_values], kept=True)
    return _leased(found.fetchall(), path_of)


def take_over(
    before: str,
    owner: str,
    entry_ids: Sequence[int],
    now: datetime,
    until: datetime,
    path_of: PathOf,
    *,
    only_lapsed: bool,
) -> list[LeasedEntry]:
    """Those of the entries that `before` holds, for `owner`; with `only_lapsed`, if the lease has lapsed `now`."""
    clause, parameters = id_list(entry_ids)
    lapsed, moment = (" AND due_at <= %s", [db_time(now)]) if only_lapsed else ("", [])
    rows = execute(
        f"UPDATE spool_entry SET leased_by = %s, due_at = %s WHERE id {clause} AND leased_by = %s{lapsed}"
        f" RETURNING {', '.join(_COLUMNS)}",
        [owner, db_time(until), *parameters, before, *moment],
    )
    return _leased(rows.fetchall(), path_of)


def look_at(entry_ids: Sequence[int], path_of: PathOf, *, trashed: bool = False) -> list[LeasedEntry]:
    """Entries as a worker would see them, in order, without taking them; with `trashed`, those of the trash."""
    table = "spool_trashed" if trashed else "spool_entry"
    clause, parameters = id_list(entry_ids)
    rows = execute(f"SELECT {', '.join(_COLUMNS)} FROM {table} WHERE id {clause} ORDER BY id", parameters)
    return _leased(rows.fetchall(), path_of, trashed=trashed)


def _leased(rows: Sequence[Row], path_of: PathOf, *, trashed: bool = False) -> list[LeasedEntry]:
    """The entries of these rows, with their open recipients, and with their content where they have no file."""
    if not rows:
        return []
    entries = [LeasedEntry(*(*row, path_of(*_PLACE(row)))) for row in rows]
    by_id = {}
    for entry in entries:
        entry.created = from_db_time(entry.created)
        if entry.release_at is not None:
            entry.release_at = from_db_time(entry.release_at)
        by_id[entry.id] = entry
    if on_sqlite():
        _as_flags(entries)
    for entry_id, *columns in recipients.open_rows(list(by_id), trashed=trashed):
        recipient = LeasedRecipient(*columns)
        recipient.kind = _KINDS[recipient.kind]
        by_id[entry_id].recipients.append(recipient)
    in_rows = contents.look(list(by_id))
    for entry_id, content in in_rows.whole.items():
        by_id[entry_id].content = content
    for entry_id, parts in in_rows.parts.items():
        entry = by_id[entry_id]
        pieces = partial(contents.pieces, entry_id, parts)
        entry.streamed = Streamed(entry.file_name, entry.size_bytes, pieces, working.folder)
    return entries


def _as_flags(entries: Sequence[LeasedEntry]) -> None:
    """SQLite has them as numbers."""
    for entry in entries:
        entry.smtputf8, entry.eight_bit = bool(entry.smtputf8), bool(entry.eight_bit)
        entry.delay_notified, entry.ours = bool(entry.delay_notified), None if entry.ours is None else bool(entry.ours)


def earliest_due(*, low: bool = True) -> datetime | None:
    """When a worker can take the next entry, or a lease lapses; None when the spool has none. Without `low`, of the
    others."""
    return sooner(*earliest(low=low))


def sooner(*moments: datetime | None) -> datetime | None:
    """The first of those that there are."""
    return min((moment for moment in moments if moment is not None), default=None)


def earliest(*, low: bool = True) -> tuple[datetime | None, datetime | None]:
    """When the next entry is due, or its lease lapses; and from when on one may be taken that is more than its sender's
    share. None where there is none."""
    statement = _EARLIEST_DUE if low else _EARLIEST_DUE_BUT_LOW
    rows = execute(statement.format(index=_OF_TURNS if on_sqlite() else ""), (), kept=True).fetchall()
    due = [moment for priority, moment in rows if priority and moment is not None]
    early = [moment for priority, moment in rows if not priority]
    return from_db_time(min(due)) if due else None, from_db_time(early[0]) if early else None


def is_any_early() -> bool:
    """Whether anything is more than its sender's share."""
    return bool(execute(_FIRST_EARLY.format(index=_OF_TURNS if on_sqlite() else ""), ()).fetchall())


_KEPT_BACK: Final = (
    "turn_at IS NULL AND next_attempt <= %s AND due_at > %s AND leased_by = '' AND NOT hold AND priority > 1"
)


def kept_back(statuses: Sequence[Status], now: datetime, limit: int) -> list[int]:
    """Entries of those statuses that are more than their senders' shares, and no longer have to wait for anything else:
    a delivery delay, or the time that they are scheduled for."""
    moment, listed = db_time(now), ", ".join(f"'{status.value}'" for status in statuses)
    statement = f"SELECT id FROM spool_entry WHERE status IN ({listed}) AND {_KEPT_BACK} LIMIT %s"
    return [row[0] for row in execute(statement, (moment, moment, limit)).fetchall()]


def make_early(entry_ids: Sequence[int], now: datetime) -> None:
    """Have workers take those of them while nothing else is due."""
    clause, parameters = id_list(entry_ids)
    moment = db_time(now)
    statement = f"UPDATE spool_entry SET turn_at = due_at WHERE id {clause} AND {_KEPT_BACK}"
    execute(statement, [*parameters, moment, moment])


def early_turns() -> list[tuple[str, bool | None, str, str, int, datetime]]:
    """The last turn of what is early by whose it is: the login, whether it is ours, the sender's domain, the client's
    address and the priority."""
    rows = execute(
        "SELECT auth_user, ours, sender_domain, client_ip, priority, MAX(turn_at) FROM spool_entry"
        + (_OF_TURNS if on_sqlite() else "")
        + " WHERE turn_at IS NOT NULL GROUP BY auth_user, ours, sender_domain, client_ip, priority",
        (),
    )
    return [
        (user, None if ours is None else bool(ours), domain, ip, priority, from_db_time(turn))
        for user, ours, domain, ip, priority, turn in rows.fetchall()
    ]


def overdue(now: datetime) -> dict[str, float]:
    """For how many seconds the oldest due mail has waited for a worker to take it, by the room that it waits for.

    `local`: for this server alone; `remote`: for elsewhere too; `low`: the same of low priority, which has but a share.
    """
    moment = db_time(now)
    rows = execute(_OVERDUE_SQLITE if on_sqlite() else _OVERDUE_POSTGRESQL, [moment] * _OVERDUE_POSTGRESQL.count("%s"))
    waited = dict.fromkeys(ROOMS, 0.0)
    for room, due in rows.fetchall():
        if due is not None:
            waited[room] = max(waited[room], (now - from_db_time(due)).total_seconds())
    return waited


def renew(owner: str, entry_ids: Sequence[int], until: datetime) -> set[int]:
    """Keep leases that this worker still holds; the ids of those entries."""
    clause, parameters = id_list(entry_ids)
    renewed = execute(
        f"UPDATE spool_entry SET due_at = %s WHERE id {clause} AND leased_by = %s AND due_at IS NOT NULL RETURNING id",
        [db_time(until), *parameters, owner],
    ).fetchall()
    return {entry_id for (entry_id,) in renewed}


def held_by(owner: str, entry_ids: Sequence[int], *, lock: bool = False) -> dict[int, str]:
    """Those of the entries that `owner` holds, in order, with their file names; with `lock`, until the end of the
    transaction."""
    if not entry_ids:
        return {}
    clause, parameters = id_list(entry_ids)
    rows = execute(
        f"SELECT id, file_name FROM spool_entry WHERE id {clause} AND leased_by = %s ORDER BY id"
        + (" FOR UPDATE" if lock and not on_sqlite() else ""),
        [*parameters, owner],
    )
    return dict(rows.fetchall())


def mark(owner: str, entry_ids: Sequence[int], status: Status | None) -> None:
    """Show where entries are that `owner` works on: in a stage, or (None) on their way out."""
    clause, parameters = id_list(entry_ids)
    shown = "CASE direction WHEN 1 THEN 'local' ELSE 'remote' END" if status is None else f"'{status.value}'"
    execute(f"UPDATE spool_entry SET status = {shown} WHERE id {clause} AND leased_by = %s", [*parameters, owner])


def give_back(owner: str, entry_ids: Sequence[int], now: datetime) -> None:
    """Let others have entries at once on which `owner` did no work."""
    clause, parameters = id_list(entry_ids)
    execute(
        f"UPDATE spool_entry SET leased_by = '', status = {AT_REST}, due_at = CASE WHEN hold THEN NULL ELSE %s END"
        f" WHERE id {clause} AND leased_by = %s",
        [db_time(now), *parameters, owner],
    )


def end_all(now: datetime) -> None:
    """End every lease, whoever holds it: after the tables were restored from a copy."""
    moment = db_time(now)
    execute(
        f"UPDATE spool_entry SET leased_by = '', status = {AT_REST},"
        " due_at = CASE WHEN hold THEN NULL WHEN next_attempt > %s THEN next_attempt ELSE %s END WHERE leased_by <> ''",
        (moment, moment),
    )


def shorten(longer_than: datetime, until: datetime) -> int:
    """Have leases end at `until` that would lapse after `longer_than`; how many."""
    statement = "UPDATE spool_entry SET due_at = %s WHERE leased_by <> '' AND due_at > %s"
    return int(execute(statement, [db_time(until), db_time(longer_than)]).rowcount)


def shorten_waits(longer_than: datetime, until: datetime) -> int:
    """Have entries tried at `until` that nobody holds and that would wait until after `longer_than`; how many."""
    moment = db_time(until)
    late = db_time(longer_than)
    statement = (
        "UPDATE spool_entry SET due_at = %s, next_attempt = %s, turn_at = NULL WHERE leased_by = '' AND due_at > %s"
        " AND (turn_at IS NULL OR next_attempt > %s) AND status <> 'scheduled'"
    )
    return int(execute(statement, [moment, moment, late, late]).rowcount)


def held_by_others(
    owner: str, now: datetime, until: datetime, before: int, but: Sequence[int], limit: int
) -> list[int]:
    """Entries older than the id `before`, new or throttled, whose leases others hold and that lapse by `until`.

    At most `limit`, without those of `but`. Found along the index of leases.
    """
    clause, parameters = id_list(but)
    rows = execute(
        "SELECT id FROM spool_entry WHERE priority IN (1, 2, 3) AND due_at > %s AND due_at <= %s AND leased_by <> ''"
        " AND leased_by <> %s AND (attempts = 0 OR status = 'throttled') AND id < %s"
        f" AND NOT id {clause} LIMIT %s",
        [db_time(now), db_time(until), owner, before, *parameters, limit],
    )
    return [row[0] for row in rows.fetchall()]
