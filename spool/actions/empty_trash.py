"""Emptying the trash: what was deleted is gone for good, by an administrator or for want of disk space."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.action import record
from spool.actions.actor import Actor
from spool.actions.selection import RowSelection, Selection
from spool.actions.verb import Context, Progress, Tally, Verb
from spool.events.actions import MOST_LINES, by_itself, named
from spool.files import store
from spool.filters.base import MessageFilter
from spool.flow import leases
from spool.models.content import IN_DATABASE
from spool.models.settings import current
from spool.models.trashed import Trashed, TrashState
from spool.places import trash

log = logging.getLogger(__name__)

MB = 1024 * 1024
# The trash gives way before new mail has to: at this much more than the free space that the settings ask for.
MARGIN = 1.2


def deleted() -> QuerySet[Trashed]:
    """What can be removed for good. The files of what was moved are in folders of people's own."""
    return Trashed.objects.filter(state=TrashState.TRASHED)


class TrashSelection(RowSelection):
    """What was deleted: all that a filter matches, whose ages are those since then, or by ids."""

    __slots__ = ()
    model = Trashed
    large = ("traceback",)

    @classmethod
    def of(cls, what: MessageFilter | Iterable[int] | Selection) -> Self:
        if isinstance(what, Selection) and not isinstance(what, cls):
            return cls(filter=what.filter, ids=what.ids)
        return super().of(what)

    def sentence(self) -> str:
        if self.filter is None:
            return super().sentence()
        # The age is that since then.
        return f"{self.filter.sentence().replace('in the spool for', 'deleted')}, in the trash"

    def rows(self) -> QuerySet[Trashed]:
        return deleted().filter(id__in=self.ids) if self.filter is None else self.filter.of_trash(deleted())


class EmptyTrash(Verb):
    """What was deleted is removed for good, with its file; it can't be undone any more."""

    name, label, past = "empty-trash", _lazy("Empty trash"), _lazy("removed for good")
    icon, agree, danger = "delete_forever", _lazy("Delete for good"), True
    selects = TrashSelection

    def effect(self, parameters: Mapping[str, Any]) -> str:
        return _("They are removed for good, with their files. This can't be undone.")

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        def note(removed: Sequence[trash.TrashRow]) -> None:
            named(context, "removed", [item.file_name for item in removed])
            gone = len(ids) - len(removed)
            progress(Tally(len(removed), 0, gone, "put back, or already gone" if gone else ""), ids[-1])

        trash.remove(ids, note)


def give_way(now: datetime) -> int:
    """When the disk is short, remove for good what was deleted first, as much as is needed; how many messages.

    It is written down: nobody has asked for it.
    """
    if leases.without_files():
        return 0
    wanted = int(current().min_free_mb * MB * MARGIN)
    if not wanted:
        return 0
    try:
        free = store.free_bytes()
    except OSError:
        return 0
    missing, removed, freed = wanted - free, 0, 0
    while freed < missing:
        ids = []
        # What is in the database fills another disk.
        in_files = deleted().exclude(subspool=IN_DATABASE)
        for number, size_bytes in in_files.order_by("at", "id").values_list("id", "size_bytes")[: trash.CHUNK]:
            if freed >= missing:
                break
            ids.append(number)
            freed += size_bytes
        if not ids:
            break
        gone = trash.remove(ids)
        by_itself("removed", [item.file_name for item in gone[: max(0, MOST_LINES - removed)]], "the disk is short")
        removed += len(gone)
    if removed:
        what = f"{removed:,} of the messages that were deleted first"
        mb = {"freed_mb": round(freed / MB), "free_mb": round(free / MB), "wanted_mb": current().min_free_mb}
        event = record(Actor.system(), EmptyTrash.name, what, done=removed, parameters=mb)
        log.warning("the disk is short: %s: %s", what, event.outcome)
    return removed
