"""Out of quarantine for good: deletion that can be undone, moves to a folder, and removal when the time is over.

Rows go before files. A deleted item stays where it is, out of every list, until it can't be undone any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from django.db.models import Q

from quarantine.items import transfer
from quarantine.models.item import Item, ItemState
from spool.events.actions import by_itself
from spool.files import marks, removal, store
from spool.models.settings import current
from spool.places import trash
from spool.places.bins import Bin
from spool.rows import contents, statements

CHUNK = 500
# Out of the lists, but not beyond undoing.
GONE: Final = (ItemState.DELETED, ItemState.MOVING, ItemState.MOVED)


def delete(ids: Sequence[int], event_id: int, now: datetime) -> int:
    """Take items out of the lists; how many. Call it in a transaction."""
    return Item.objects.filter(id__in=list(ids), state=ItemState.HELD).update(
        state=ItemState.DELETED, gone_at=now, event=event_id
    )


def begin_move(ids: Sequence[int], event_id: int, now: datetime, folder: Path) -> list[int]:
    """Mark items as on their way to `folder`; those that were there. Call it in a transaction."""
    found = [item.id for item in transfer.locked(Item.objects.filter(id__in=list(ids), state=ItemState.HELD))]
    Item.objects.filter(id__in=found).update(state=ItemState.MOVING, gone_at=now, event=event_id, target=str(folder))
    return found


def restore(ids: Sequence[int], now: datetime, note: Callable[[trash.Restored], None] | None = None) -> trash.Restored:
    """Undo a deletion or a move: they are in quarantine again. `note` is called in the transaction."""
    with statements.write_transaction():
        rows = _find(ids, lock=True)
        in_rows = trash.in_database(rows)
        there = [
            item for item in rows if item.id in in_rows or trash.has_file(item, item.in_quarantine, marks.QUARANTINE)
        ]
        for folder in {item.in_quarantine.parent for item in there if item.state == ItemState.MOVED and item.paths}:
            store.sync_folder(folder)
        Item.objects.filter(id__in=[item.id for item in there]).update(
            state=ItemState.HELD, gone_at=None, event=None, target=""
        )
        restored = trash.Restored(there, len(rows) - len(there), len(ids) - len(rows))
        if note is not None:
            note(restored)
    for item in there:
        if item.state == ItemState.MOVED:
            trash.remove_copy(item)
    return restored


def remove_expired(now: datetime) -> int:
    """Remove for good what is past its time of removal, and deletions past undoing; how many messages."""
    undoable_since = now - timedelta(days=current().trash_days)
    over = Q(removal__lte=now, state__in=(ItemState.HELD, ItemState.DELETED))
    undone_no_more = Q(gone_at__lt=undoable_since, state__in=(ItemState.DELETED, ItemState.MOVED))
    count = 0
    for which in (over, undone_no_more):
        while ids := list(Item.objects.filter(which).order_by().values_list("id", flat=True)[:CHUNK]):
            count += remove(ids, "its time in quarantine is over")
    return count


def remove(ids: Sequence[int], why: str = "") -> int:
    """Remove items for good: rows first, then files; how many. What was moved to a folder stays there."""
    with statements.write_transaction():
        names = Item.objects.filter(id__in=list(ids)).exclude(state__in=(ItemState.MOVING, ItemState.MOVED))
        by_itself("removed", list(names.order_by().values_list("file_name", flat=True)), why)
        paths, count = remove_rows(ids)
    for path in paths:
        removal.remove(path)
    return count


def remove_rows(ids: Sequence[int]) -> tuple[list[Path], int]:
    """Remove the rows, in the caller's transaction; (the files to remove after its commit, how many items)."""
    rows = transfer.locked(Item.objects.filter(id__in=list(ids)).exclude(state=ItemState.MOVING))
    if not rows:
        return [], 0
    transfer.remove_rows([item.id for item in rows])
    contents.remove([item.entry_id for item in rows if not item.paths])
    here = [item for item in rows if item.state != ItemState.MOVED]
    return [path for item in here for path in item.paths], len(rows)


def _find(ids: Sequence[int], *, lock: bool = False) -> list[Item]:
    items = Item.objects.filter(id__in=list(ids), state__in=GONE)
    return transfer.locked(items) if lock else list(items.order_by("id"))


def _set_moved(fingerprints: Sequence[tuple[int, str]]) -> None:
    statements.execute_many(
        "UPDATE quarantine_item SET state = %s, fingerprint = %s WHERE id = %s",
        [(ItemState.MOVED.value, fingerprint, number) for number, fingerprint in fingerprints],
    )


# What administrators took out of the quarantines, as spool.places.bins has it.
BIN: Final = Bin(
    ("quarantine-delete", "quarantine-move"),
    lambda: Item.objects.filter(state__in=GONE),
    "gone_at",
    restore,
    _find,
    lambda items: zip(items, items, strict=True),
    _set_moved,
)
