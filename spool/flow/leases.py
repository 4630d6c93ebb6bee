"""Taking entries to work on, and keeping them while the work lasts. One holder each, for a limited time.

Synchronous; a pass calls this from its database thread.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from base import clock
from spool.files import store
from spool.message.envelope import LeasedEntry, LeasedRecipient
from spool.models.recipient import Kind
from spool.rows import statements

# A worker that dies is missed for this long at most; one that lives renews in time.
LEASE = timedelta(seconds=30)
RENEW_EVERY_SECONDS = 10.0


def new_owner() -> str:
    """A name for one pass, never used again: a pass that lost its lease can't touch the entry any more."""
    return f"{socket.gethostname()[:30]}:{os.getpid()}:{secrets.token_hex(4)}"


def take(
    owner: str, now: datetime, limit: int, *, straight: bool, no_delay: bool, lapsed: bool = True,
    low: int | None = None, reserved: int = 0, only_local: bool = False,
) -> list[LeasedEntry]:  # fmt: skip
    """Lease up to `limit` due entries with their open recipients, inside the caller's transaction.

    Without `lapsed` those are left alone whose lease has lapsed: after the clock was set nobody can tell. Up to `low`
    of them have low priority, for which normal priority leaves `reserved`; `only_local` is mail for this server alone.
    """
    until, held_until = now + LEASE, clock.steady() + LEASE.total_seconds()
    rows = statements.lease(
        owner, now, until, limit, straight=straight, no_delay=no_delay, lapsed=lapsed,
        low=limit if low is None else low, reserved=reserved, only_local=only_local,
    )  # fmt: skip
    if not rows:
        return []
    entries = _with_recipients(rows)
    for entry in entries:
        entry.held_until, entry.leased = held_until, now
    # RETURNING keeps no order.
    entries.sort(key=lambda entry: (-entry.priority, entry.id))
    return entries


def take_over(
    before: str, owner: str, entry_ids: Sequence[int], now: datetime, *, only_lapsed: bool
) -> list[LeasedEntry]:
    """Those of the entries that `before` holds, for `owner`, inside the caller's transaction."""
    until, held_until = now + LEASE, clock.steady() + LEASE.total_seconds()
    clause, parameters = statements.id_list(entry_ids)
    lapsed, moment = (" AND due_at <= %s", [statements.db_time(now)]) if only_lapsed else ("", [])
    rows = statements.execute(
        f"UPDATE spool_entry SET leased_by = %s, due_at = %s WHERE id {clause} AND leased_by = %s{lapsed}"
        f" RETURNING {', '.join(statements.LEASE_COLUMNS)}",
        [owner, statements.db_time(until), *parameters, before, *moment],
    ).fetchall()
    entries = _with_recipients(rows) if rows else []
    for entry in entries:
        entry.held_until, entry.leased = held_until, now
    return sorted(entries, key=lambda entry: entry.id)


def look_at(entry_ids: Sequence[int], *, trashed: bool = False) -> list[LeasedEntry]:
    """Entries as a worker would see them, without taking them: what is read here may be gone the next moment.

    With `trashed`, those that an administrator has taken out of the spool.
    """
    table = "spool_trashed" if trashed else "spool_entry"
    clause, parameters = statements.id_list(entry_ids)
    columns = ", ".join(statements.LEASE_COLUMNS)
    rows = statements.execute(f"SELECT {columns} FROM {table} WHERE id {clause} ORDER BY id", parameters).fetchall()
    return _with_recipients(rows, trashed=trashed) if rows else []


def _with_recipients(rows: Sequence[statements.Row], *, trashed: bool = False) -> list[LeasedEntry]:
    entries = [_leased(row) for row in rows]
    by_id = {entry.id: entry for entry in entries}
    for entry_id, recipient_id, address, domain, kind, original, notify, orcpt in statements.open_recipients(
        [entry.id for entry in entries], "spool_trashedrecipient" if trashed else "spool_recipient"
    ):
        by_id[entry_id].recipients.append(
            LeasedRecipient(recipient_id, address, domain, _KINDS[kind], original, notify, orcpt)
        )
    return entries


_KINDS = {kind.value: kind for kind in Kind}


def _leased(row: statements.Row) -> LeasedEntry:
    (
        entry_id, file_name, subspool, sender, auth_user, client_ip, ehlo_name, tls, port, direction, origin, subject,
        message_id, size_bytes, priority, status, attempts, dns_failures, total, done, created, failures, envid, ret,
        smtputf8, eight_bit, delay_notified, next_hop, ours,
    ) = row  # fmt: skip
    return LeasedEntry(
        entry_id, file_name, subspool, sender, auth_user, client_ip, direction, origin, subject, message_id, size_bytes,
        priority, status, attempts, dns_failures, total, done, statements.from_db_time(created), failures, envid, ret,
        bool(smtputf8), bool(eight_bit), bool(delay_notified), store.path_of(subspool, file_name),
        ehlo_name=ehlo_name, tls=tls, port=port, next_hop=next_hop, ours=None if ours is None else bool(ours),
    )  # fmt: skip


def renew(owner: str, entries: Sequence[LeasedEntry]) -> None:
    """Hold on to entries that are still being worked on.

    One whose lease had lapsed may have been with others meanwhile: what has begun goes on, but nothing may begin.
    """
    if entries:
        with statements.write_transaction():
            # From now, not from when it began to wait for others.
            until, held_until = timezone.now() + LEASE, clock.steady() + LEASE.total_seconds()
            kept = statements.renew(owner, [entry.id for entry in entries], until)
        for entry in entries:
            if entry.id in kept and entry.is_held:
                entry.held_until = held_until


def give_back(owner: str, entry_ids: Sequence[int], now: datetime) -> None:
    """Let others have entries at once on which no work was done."""
    if entry_ids:
        clause, parameters = statements.id_list(entry_ids)
        with statements.write_transaction():
            statements.execute(
                f"UPDATE spool_entry SET leased_by = '', status = {statements.AT_REST},"
                f" due_at = CASE WHEN hold THEN NULL ELSE %s END WHERE id {clause} AND leased_by = %s",
                [statements.db_time(now), *parameters, owner],
            )


def mend(now: datetime, longest_wait: timedelta) -> int:
    """What was written while the clock was ahead: leases and waiting times that nobody can have meant; how many.

    A lease gets one more term, in which a holder who is at work renews it. What waits for longer than `longest_wait` is
    due now.
    """
    with statements.write_transaction():
        held = statements.execute(
            "UPDATE spool_entry SET due_at = %s WHERE leased_by <> '' AND due_at > %s",
            [statements.db_time(now + LEASE), statements.db_time(now + 2 * LEASE)],
        ).rowcount
        moment = statements.db_time(now)
        waiting = statements.execute(
            "UPDATE spool_entry SET due_at = %s, next_attempt = %s WHERE leased_by = '' AND due_at > %s",
            [moment, moment, statements.db_time(now + longest_wait)],
        ).rowcount
    return int(held) + int(waiting)
