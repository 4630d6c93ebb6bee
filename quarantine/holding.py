"""What the quarantine answers to the spool for: files, late results, what a crash left, and removal in time."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from django.utils import timezone

from quarantine import digest, greylisting
from quarantine.filters import LARGE
from quarantine.items import deletion, relocation, transfer
from quarantine.models.antispam import AntispamSettings
from quarantine.models.count import CheckCount
from quarantine.models.item import Item, ItemState, Pardon, root
from quarantine.spam import result_cache
from spool.actions import move
from spool.files.finding import CHUNK, YOUNGEST_SECONDS, Finding
from spool.holders import Holder
from spool.message.envelope import RecipientResult
from spool.models.content import IN_DATABASE
from spool.models.entry import Entry
from spool.models.recipient import Outcome
from spool.places import trash
from spool.rows import packing

log = logging.getLogger(__name__)

COUNTS_KEPT = timedelta(days=400)


class Quarantine(Holder):
    """Both quarantines (see SPOOL_HOLDERS)."""

    def sizes(self, names: Sequence[str]) -> Any:
        return Item.objects.filter(file_name__in=names).order_by().values_list("file_name", "size_bytes")

    def entry_ids(self, names: Sequence[str]) -> set[int]:
        return set(Item.objects.filter(file_name__in=names).values_list("entry_id", flat=True))

    def holding(self, entry_ids: Sequence[int]) -> set[int]:
        return set(Item.objects.filter(entry_id__in=entry_ids).values_list("entry_id", flat=True))

    def note_delivered(self, entry_id: int, results: Sequence[RecipientResult], now: datetime) -> None:
        row = Item.objects.select_for_update().filter(entry_id=entry_id).first()
        if row is None or not packing.note_delivered(row, results, Outcome.QUARANTINED, now):
            return
        row.recipients_done = row.entry["recipients_done"]
        row.save(update_fields=["entry", "recipients", "recipients_done"])

    def relocate(self, *, to_database: bool) -> Iterator[int]:
        return relocation.relocate(to_database=to_database)

    def examine(self) -> Iterator[Finding]:
        for folder in _folders():
            yield from _strays(folder)
        minute_ago = timezone.now() - timedelta(minutes=1)
        half_moved = Item.objects.filter(state=ItemState.MOVING, gone_at__lt=minute_ago)
        for name in half_moved.values_list("file_name", flat=True)[:CHUNK]:
            yield Finding("half moved", name, "moved to the end by its job, or by the hourly maintenance")
        kept = Item.objects.filter(state__in=(ItemState.HELD, ItemState.DELETED)).defer(*LARGE).order_by("id")
        rows = kept.iterator(CHUNK)
        while some := list(islice(rows, CHUNK)):
            in_rows = trash.in_database(some)
            for item in some:
                if item.id not in in_rows:
                    yield from _file_of(item)

    def tidy(self, now: datetime) -> None:
        _bring_in()
        move.finish(now, deletion.BIN)
        digest.send_due(now)
        if count := deletion.remove_expired(now):
            log.info("removed %d messages from quarantine: their time was over", count)
        greylisting.sweep(AntispamSettings.load(), now)
        CheckCount.objects.filter(day__lt=(now - COUNTS_KEPT).date()).delete()
        result_cache.tidy()
        Pardon.objects.exclude(entry_id__in=Entry.objects.values("id")).delete()
        for folder in _folders():
            try:
                folder.rmdir()
            except OSError:
                # It is not empty, or a message has just come into it.
                continue


def _folders() -> list[Path]:
    """The folders of all days."""
    return sorted(day for kind in root().glob("*") if kind.is_dir() for day in kind.glob("[0-9]*") if day.is_dir())


def _strays(folder: Path) -> Iterator[Finding]:
    """Files that no item knows: what a killed removal has left."""
    before = time.time() - YOUNGEST_SECONDS
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    for start in range(0, len(names), CHUNK):
        some = names[start : start + CHUNK]
        known = set(Item.objects.filter(file_name__in=some).values_list("file_name", flat=True))
        for name in some:
            path = folder / name
            if name not in known and path.exists() and path.stat().st_mtime < before:
                what = f"quarantine/{folder.parent.name}/{folder.name}/{name}"
                yield Finding("orphan file", what, "moved to lost+found", path)


def _file_of(item: Item) -> Iterator[Finding]:
    try:
        size = item.path.stat().st_size
    except FileNotFoundError:
        # It may have been resent or removed since the row was read.
        if Item.objects.filter(pk=item.pk).exists() and not item.path.exists():
            what = f"quarantine: {item.file_name}"
            yield Finding("missing file", what, "delete it from quarantine; it can't be resent")
        return
    if size != item.size_bytes:
        yield Finding("wrong size", f"quarantine: {item.file_name}", "look at the file: it was changed after intake")


def _bring_in() -> None:
    """Bring files to the quarantine that a crash has left in the spool's folder."""
    days = Item.objects.filter(state=ItemState.HELD).exclude(subspool=IN_DATABASE).order_by("id")
    last = 0
    while rows := list(days.filter(id__gt=last).defer(*LARGE)[:CHUNK]):
        last = rows[-1].id
        left = [item.entry_id for item in rows if not item.in_quarantine.exists() and item.in_spool.exists()]
        transfer.put_files_away(left)
