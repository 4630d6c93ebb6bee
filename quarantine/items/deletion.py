"""Out of quarantine for good: deletion that can be undone, moves to a folder, and removal when the time is over.

Rows go before files. A deleted item stays where it is, out of every list, until it can't be undone any more.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from django.db.models import Q

from quarantine.items import transfer
from quarantine.models.item import Item, ItemState
from spool.actions import folders
from spool.actions.move import LEFT_BEHIND, finish_each, write_pair
from spool.actions.verb import Refused
from spool.events.actions import by_itself
from spool.files import removal, store
from spool.models.settings import current
from spool.places import trash
from spool.rows import statements

log = logging.getLogger(__name__)

CHUNK = 500


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


def make_files(
    ids: Sequence[int], folder: Path, note: Callable[[set[int]], None] | None = None
) -> tuple[set[int], str]:
    """Make the files of items that are MOVING in `folder`; those that are moved now, and why others are not.

    `note` is called with the former in the transaction that says so.
    """
    moved: set[int] = set()
    problem = ""
    sources: list[Path] = []
    # Before anybody has to wait for it.
    items = Item.objects.filter(id__in=list(ids), state=ItemState.MOVING)
    fingerprints = trash.fingerprints_of((item.id, item.path) for item in items)
    # Under the rows' locks, so that nobody puts back what is being moved.
    with statements.write_transaction():
        found = transfer.locked(Item.objects.filter(id__in=list(ids), state__in=(ItemState.MOVING, ItemState.MOVED)))
        rows = [item for item in found if item.state == ItemState.MOVING]
        before = [item for item in found if item.state == ItemState.MOVED]
        try:
            with folders.opened(folder, create=True) as here:
                for item in rows:
                    try:
                        write_pair(here, item, item.path)
                    except (Refused, OSError) as error:
                        problem = problem or getattr(error, "strerror", "") or str(error)
                        continue
                    moved.add(item.id)
                    sources += [item.in_quarantine, item.in_spool]
                os.fsync(here)
        except Refused as error:
            return {item.id for item in before}, str(error)
        statements.execute_many(
            "UPDATE quarantine_item SET state = %s, fingerprint = %s WHERE id = %s",
            [(ItemState.MOVED.value, fingerprints.get(number, ""), number) for number in sorted(moved)],
        )
        if note is not None:
            note(moved)
        # Under the lock too: whoever puts back has the file in the quarantine again.
        for item in before:
            for source in (item.in_quarantine, item.in_spool):
                removal.remove(source)
    for source in sources:
        removal.remove(source)
    return moved | {item.id for item in before}, problem


def put_back(ids: Sequence[int], now: datetime, note: Callable[[trash.Restored], None] | None = None) -> trash.Restored:
    """Undo a deletion or a move: they are in quarantine again. `note` is called in the transaction."""
    gone = Q(state=ItemState.DELETED) | Q(state=ItemState.MOVED) | Q(state=ItemState.MOVING)
    with statements.write_transaction():
        rows = transfer.locked(Item.objects.filter(gone, id__in=list(ids)))
        there = [item for item in rows if _have_file(item)]
        Item.objects.filter(id__in=[item.id for item in there]).update(
            state=ItemState.HELD, gone_at=None, event=None, target=""
        )
        restored = trash.Restored(there, len(rows) - len(there), len(ids) - len(rows))
        if note is not None:
            note(restored)
    for item in there:
        if item.state == ItemState.MOVED:
            trash.forget_moved(item)
    return restored


def finish_moves(now: datetime) -> int:
    """What a crash has left half moved: moved to the end, or else in quarantine again; how many."""
    return finish_each(
        Item.objects.filter(state=ItemState.MOVING, gone_at__lt=now - LEFT_BEHIND),
        make_files,
        lambda ids: put_back(ids, now),
        log,
        "quarantined messages could not be moved to %s and stay: %s",
    )


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
    here = [item for item in rows if item.state != ItemState.MOVED]
    return [path for item in here for path in (item.in_quarantine, item.in_spool)], len(rows)


def _have_file(item: Item) -> bool:
    """Whether the file is where an item in quarantine has it; a moved one is brought back."""
    if item.path.exists():
        return True
    if item.state == ItemState.DELETED:
        return False
    source = trash.from_folder(item)
    if source is None:
        return False
    target = item.in_quarantine
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    done = trash.link_or_copy(source, target)
    store.sync_folder(target.parent)
    return done
