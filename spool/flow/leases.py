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
from spool.files import claim, store
from spool.message.envelope import LeasedEntry
from spool.models.entry import Status
from spool.places import contents
from spool.rows import lease, statements

# A worker that dies is missed for this long at most; one that lives renews in time.
LEASE = timedelta(seconds=30)
RENEW_EVERY_SECONDS = 10.0
# So many rows are changed in one transaction that may be many.
AT_ONCE = 1000


def new_owner() -> str:
    """A name for one pass, never used again: a pass that lost its lease can't touch the entry any more."""
    return f"{socket.gethostname()[:30]}:{os.getpid()}:{secrets.token_hex(4)}"


def without_files() -> bool:
    """Whether this machine has not the files of the spool: messages that have one are for those who have it."""
    return contents.in_database() and not claim.has_files()


def take(
    owner: str,
    now: datetime,
    limit: int,
    *,
    straight: bool,
    no_delay: bool,
    lapsed: bool = True,
    low: int | None = None,
    reserved: int = 0,
    only_local: bool = False,
    early: bool = True,
) -> list[LeasedEntry]:
    """Lease up to `limit` due entries with their open recipients, inside the caller's transaction.

    Without `lapsed` those are left alone whose lease has lapsed: after the clock was set nobody can tell. Up to `low`
    of them have low priority, for which normal priority leaves `reserved`; `only_local` is mail for this server alone.
    Without `early` there are none that are more than their senders' shares.
    """
    until, held_until = now + LEASE, clock.steady() + LEASE.total_seconds()
    entries = lease.lease(
        owner,
        now,
        until,
        limit,
        straight=straight,
        no_delay=no_delay,
        lapsed=lapsed,
        low=limit if low is None else low,
        reserved=reserved,
        only_local=only_local,
        early=early,
        without_files=without_files(),
        path_of=store.path_of,
    )
    for entry in entries:
        entry.held_until, entry.leased = held_until, now
    # RETURNING keeps no order.
    entries.sort(key=lambda entry: (-entry.priority, entry.id))
    return entries


def take_over(
    before: str, owner: str, entry_ids: Sequence[int], now: datetime, *, only_lapsed: bool
) -> list[LeasedEntry]:
    """Those of the entries that `before` holds, for `owner`, inside the caller's transaction."""
    held_until = clock.steady() + LEASE.total_seconds()
    entries = lease.take_over(before, owner, entry_ids, now, now + LEASE, store.path_of, only_lapsed=only_lapsed)
    for entry in entries:
        entry.held_until, entry.leased = held_until, now
    return sorted(entries, key=lambda entry: entry.id)


def look_at(entry_ids: Sequence[int], *, trashed: bool = False) -> list[LeasedEntry]:
    """Entries as a worker would see them, without taking them: what is read here may be gone the next moment.

    With `trashed`, those that an administrator has taken out of the spool.
    """
    return lease.look_at(entry_ids, store.path_of, trashed=trashed)


def renew(owner: str, entries: Sequence[LeasedEntry]) -> None:
    """Hold on to entries that are still being worked on.

    One whose lease had lapsed may have been with others meanwhile: what has begun goes on, but nothing may begin.
    """
    if entries:
        with statements.write_transaction():
            # From now, not from when it began to wait for others.
            until, held_until = timezone.now() + LEASE, clock.steady() + LEASE.total_seconds()
            kept = lease.renew(owner, [entry.id for entry in entries], until)
        for entry in entries:
            if entry.id in kept and entry.is_held:
                entry.held_until = held_until


def give_back(owner: str, entry_ids: Sequence[int], now: datetime) -> None:
    """Let others have entries at once on which no work was done."""
    if entry_ids:
        with statements.write_transaction():
            lease.give_back(owner, entry_ids, now)


def let_go_early(now: datetime, *, delayed: bool) -> None:
    """What is more than its sender's share, and has waited for the time that it was scheduled for, leaves where others
    leave room; so does what a delivery delay kept back, if there is one."""
    statuses = [Status.SCHEDULED, Status.DELIVERY_DELAY] if delayed else [Status.SCHEDULED]
    while entry_ids := lease.kept_back(statuses, now, AT_ONCE):
        with statements.write_transaction():
            lease.make_early(entry_ids, now)


def mend(now: datetime, longest_wait: timedelta) -> int:
    """What was written while the clock was ahead: leases and waiting times that nobody can have meant; how many.

    A lease gets one more term, in which a holder who is at work renews it. What waits for longer than `longest_wait` is
    due now.
    """
    with statements.write_transaction():
        return lease.shorten(now + 2 * LEASE, now + LEASE) + lease.shorten_waits(now + longest_wait, now)
