"""Moving an entry between the spool and the quarantine: one transaction each way, the file after or before it.

Into quarantine: the entry and its recipients become one Item, its open recipients are traced as quarantined, and the
rows go, if the caller still holds the lease. Only then is the file brought to `<home>/quarantine/<kind>/<day>/`.
Back: the file first, then the rows, in the transaction in which the Item goes.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from quarantine.models.item import Item, ItemKind, ItemState, Pardon
from quarantine.spam import result_cache
from spool.actions import audit
from spool.actions.actor import Actor
from spool.actions.verb import Tally
from spool.events import decisions, mail_log
from spool.events.actions import by_itself
from spool.files import marks, store
from spool.flow import leases
from spool.message.envelope import LeasedEntry
from spool.message.summary import storable
from spool.models.content import IN_DATABASE
from spool.models.entry import Direction, Status
from spool.models.recipient import Kind, Outcome
from spool.models.trashed import TrashState
from spool.places import contents, splits, trash
from spool.rows import contents as content_rows
from spool.rows import entries, journal, lease, packing, recipients, statements

log = logging.getLogger(__name__)

_COPIED = (
    "file_name",
    "subspool",
    "sender",
    "sender_domain",
    "sender_key",
    "subject",
    "message_id",
    "client_ip",
    "auth_user",
    "direction",
    "size_bytes",
    "attempts",
    "recipients_total",
    "recipients_done",
    "created",
)


@dataclass(slots=True)
class Part:
    """Some recipients of an entry. `is_taken`: they have been given a message of their own."""

    entry: LeasedEntry
    recipient_ids: tuple[int, ...]
    is_taken: bool = False

    @property
    def is_all(self) -> bool:
        """Whether no other recipient is left."""
        return {one.id for one in self.entry.recipients} <= set(self.recipient_ids)

    def leave(self) -> None:
        """Those that were taken are no recipients of the entry any more."""
        if not self.is_taken:
            return
        entry = self.entry
        gone = set(self.recipient_ids)
        entry.recipients = [one for one in entry.recipients if one.id not in gone]
        entry.recipients_total -= len(self.recipient_ids)
        if all(one.kind is Kind.LOCAL for one in entry.recipients):
            entry.direction = int(Direction.INBOUND)


@dataclass(frozen=True, slots=True)
class Caught:
    """An entry in which something was found. `findings` are what each scanner or check said, ready for JSON.

    `part`: only these recipients are taken, as a message of their own; the entry stays for the others. `blocked_by`:
    the user who blocks its sender, to whom it was.
    """

    entry_id: int
    kind: ItemKind
    why: str
    score: float | None = None
    findings: list[dict[str, Any]] = field(default_factory=list)
    part: Part | None = None
    blocked_by: str = ""


def take(owner: str, caught: Sequence[Caught], now: datetime, days: int) -> set[int]:
    """Quarantine entries that `owner` holds, for `days`; the ids of those that were still its own. Durable on return.

    Raises django.db.Error or OSError, and then nothing was done.
    """
    parts = splits.Parts()
    # Not under the lock for which, on SQLite, all others wait.
    written = contents.write_files(leases.look_at([one.entry_id for one in caught]))
    try:
        with statements.write_transaction():
            ours = lease.held_by(owner, [one.entry_id for one in caught], lock=True)
            content_rows.remove([number for number in written if number in ours])
            if contents.in_database():
                # What came in before it was: nobody is to look for a file.
                contents.bring_out(list(ours))
            shared = {one.entry_id: one.part for one in caught if one.part is not None and one.entry_id in ours}
            parts = splits.begin({number: (part.entry.subspool, ours[number]) for number, part in shared.items()})
            moved = parts.move({number: part.recipient_ids for number, part in shared.items()})
            # Of a part without a file nothing can be taken: delivery says that it is missing.
            taken = [
                replace(one, entry_id=moved.get(one.entry_id, one.entry_id))
                for one in caught
                if one.entry_id in ours and (one.part is None or one.entry_id in moved)
            ]
            items = {one.entry_id: _pack(one, now, days) for one in taken}
            if items:
                _note_addresses(items)
                entries.remove(list(items))
    except BaseException as error:
        parts.forsake(error)
        raise
    for number in moved:
        shared[number].is_taken = True
    came_from = {new: old for old, new in moved.items()}
    mail_log.write_all(
        decisions.quarantined(
            parts.names[old] if (old := came_from.get(one.entry_id)) is not None else ours[one.entry_id],
            one.kind.value,
            one.why,
            one.score,
            ours[old] if old is not None else "",
        )
        for one in taken
    )
    put_files_away([one.entry_id for one in taken])
    return set(ours)


def delete(owner: str, caught: Sequence[Caught], now: datetime) -> int:
    """Put entries that `owner` holds into the trash, by an action that the Audit page can undo; how many."""
    event = audit.begin(Actor.system(), "delete", "spam of a level that is deleted", matched=len(caught))
    with statements.write_transaction():
        ours = lease.held_by(owner, [one.entry_id for one in caught], lock=True)
        taken: list[int] = []
        for one in caught:
            if one.entry_id in ours:
                reply = f"Deleted as spam: {storable(one.why, 255)}"
                taken += trash.take([one.entry_id], event.id, now, reply, TrashState.TRASHED)
                by_itself("deleted", [ours[one.entry_id]], one.why)
    audit.end(event, Tally(len(taken)))
    return len(taken)


def put_files_away(entry_ids: Collection[int]) -> None:
    """Bring files from the spool to the quarantine. What fails stays findable in the spool, and is tried again."""
    if not entry_ids:
        return
    folders = set()
    # Under the rows' locks: somebody may be resending them already.
    with statements.write_transaction():
        in_files = Item.objects.filter(entry_id__in=list(entry_ids), state=ItemState.HELD).exclude(subspool=IN_DATABASE)
        for item in locked(in_files):
            target = item.in_quarantine
            try:
                marks.require(marks.QUARANTINE)
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                if trash.rename(item.in_spool, target):
                    folders.add(target.parent)
            except OSError as error:
                log.error("%s stays in the spool's folder for now: %s", item.file_name, error)
    # The names in the spool need no sync: a file is looked for in both places.
    for folder in folders:
        store.sync_folder(folder)


def resend(ids: Sequence[int], now: datetime) -> tuple[list[int], int]:
    """Put items back into the spool, for the recipients still open; (those resent, how many had lost their file).

    They start over: no attempts, their age counted from now, and past the check that caught them. Call it in a
    transaction: until its end the items know their files, which are in the spool already.
    """
    rows = locked(Item.objects.filter(id__in=list(ids), state=ItemState.HELD))
    in_rows = trash.in_database(rows)
    there = [item for item in rows if item.id in in_rows or (item.paths and bring_back(item))]
    for folder in {item.in_spool.parent for item in there if item.paths}:
        store.sync_folder(folder)
    if there:
        _unpack(there, now)
    return [item.id for item in there], len(rows) - len(there)


def locked(items: QuerySet[Item]) -> list[Item]:
    """`items`, theirs until the caller's transaction ends."""
    return list(items.defer("findings").order_by("id").select_for_update())


def bring_back(item: Item) -> bool:
    """Have the file at its place in the spool; False when it is nowhere."""
    if item.in_spool.exists():
        return True
    marks.require(marks.SPOOL)
    item.in_spool.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return trash.rename(item.in_quarantine, item.in_spool)


def _pack(one: Caught, now: datetime, days: int) -> int:
    """Make the item of one entry, and trace its recipients; the item's id."""
    why = storable(one.why, 255)
    values = {
        "kind": one.kind.value,
        "state": ItemState.HELD.value,
        "at": now,
        "removal": now + timedelta(days=days),
        "why": why,
        "score": one.score,
        "findings": one.findings,
        "blocked_by": one.blocked_by,
        "target": "",
    }
    item_id = packing.pack("quarantine_item", one.entry_id, values, _COPIED)
    journal.trace_open([one.entry_id], Outcome.QUARANTINED, f"Quarantined: {why}", now)
    return item_id


def _note_addresses(items: Mapping[int, int]) -> None:
    """Note whose the items are, given by their entries: mailboxes, and what was written and led there."""
    rows = set()
    for recipient in recipients.named(list(items)):
        item_id = items[recipient.entry_id]
        rows.add((item_id, recipient.address_key or recipient.address, recipient.domain))
        if recipient.original_key is not None:
            rows.add((item_id, recipient.original_key, recipient.domain))
    statements.insert("quarantine_itemaddress", ("item_id", "address", "domain"), sorted(rows))


def _unpack(items: Sequence[Item], now: datetime) -> None:
    changes = {
        "status": Status.DELIVERY_DELAY.value,
        "attempts": 0,
        "dns_failures": 0,
        "failures": 0,
        "created": now,
        "next_attempt": now,
        "hold": False,
        "hold_reason": "",
        "hold_until": None,
        "last_error": "",
        "error_group": "",
        "traceback": "",
        "delay_notified": False,
    }
    packing.unpack("quarantine_item", [item.id for item in items], now, changes)
    result_cache.delete([item.entry_id for item in items])
    journal.untrace([item.file_name for item in items], [item.at for item in items], Outcome.QUARANTINED)
    Pardon.objects.bulk_create(
        [Pardon(entry_id=item.entry_id, kind=item.kind, at=now) for item in items], ignore_conflicts=True
    )
    remove_rows([item.id for item in items])


def remove_rows(ids: Sequence[int]) -> None:
    """Remove the rows of items. Call it in a transaction."""
    clause, parameters = statements.id_list(ids)
    statements.execute(f"DELETE FROM quarantine_itemaddress WHERE item_id {clause}", parameters)
    statements.execute(f"DELETE FROM quarantine_item WHERE id {clause}", parameters)
