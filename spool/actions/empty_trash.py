"""Emptying the trash: what was deleted is gone for good, by an administrator or for want of disk space."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from django.db.models import QuerySet

from base.action import record
from base.audit.subjects import Subject
from spool.actions.actor import Actor
from spool.actions.selection import Selection
from spool.actions.verb import Context, Progress, Tally, Verb
from spool.events.actions import MOST_LINES, by_itself, named
from spool.files import store
from spool.filters import Count
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


class TrashSelection(Selection):
    """What was deleted: all that a filter matches, whose ages are those since then, or by ids."""

    __slots__ = ()

    @classmethod
    def of(cls, what: Any) -> Self:
        if isinstance(what, Selection):
            return what if isinstance(what, cls) else cls(filter=what.filter, ids=what.ids)
        found = Selection.of(what)
        return cls(filter=found.filter, ids=found.ids)

    def last_id(self) -> int:
        return Trashed.objects.order_by("-id").values_list("id", flat=True).first() or 0

    def busy(self, sample: list[Any], now: datetime) -> int:
        return 0

    def count(self, limit: int = 10_000) -> Count:
        number = self._rows().order_by()[: limit + 1].count()
        return Count(min(number, limit), number > limit)

    def count_all(self) -> int:
        return self._rows().order_by().count()

    def sample(self, size: int) -> list[Any]:
        return list(self._rows().defer("traceback").order_by("-id")[:size])

    def chunks(self, cursor: int, last_id: int, size: int) -> Iterator[list[int]]:
        while ids := list(
            self._rows().filter(id__gt=cursor, id__lte=last_id).order_by("id").values_list("id", flat=True)[:size]
        ):
            yield ids
            cursor = ids[-1]

    def subject(self) -> Subject | None:
        if self.filter is not None or len(self.ids) != 1:
            return None
        name = self._rows().values_list("file_name", flat=True).first()
        return Subject("message", name) if name else None

    def sentence(self) -> str:
        if self.filter is not None:
            # The age is that since then.
            return f"{self.filter.sentence().replace('in the spool for', 'deleted')}, in the trash"
        names = list(Trashed.objects.filter(id__in=self.ids[:20]).values_list("file_name", flat=True))
        more = f" and {len(self.ids) - len(names)} more" if len(self.ids) > len(names) else ""
        return f"{', '.join(names)}{more}"

    def _rows(self) -> QuerySet[Trashed]:
        return deleted().filter(id__in=self.ids) if self.filter is None else self.filter.of_trash(deleted())


class EmptyTrash(Verb):
    """What was deleted is removed for good, with its file; it can't be undone any more."""

    name, label, past = "empty-trash", "Empty trash", "removed for good"
    icon, agree, danger = "delete_forever", "Delete for good", True
    selects = TrashSelection

    def effect(self, parameters: Mapping[str, Any]) -> str:
        return "They are removed for good, with their files. This can't be undone."

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        def note(removed: Sequence[trash.Taken]) -> None:
            named(context, "removed", [item.file_name for item in removed])
            gone = len(ids) - len(removed)
            progress(Tally(len(removed), 0, gone, "were put back, or gone already" if gone else ""), ids[-1])

        trash.forget(ids, note)


def give_way(now: datetime) -> int:
    """When the disk is short, remove for good what was deleted first, as much as is needed; how many messages.

    It is written down: nobody has asked for it.
    """
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
        for number, size_bytes in deleted().order_by("at", "id").values_list("id", "size_bytes")[: trash.CHUNK]:
            if freed >= missing:
                break
            ids.append(number)
            freed += size_bytes
        if not ids:
            break
        gone = trash.forget(ids)
        by_itself("removed", [item.file_name for item in gone[: max(0, MOST_LINES - removed)]], "the disk is short")
        removed += len(gone)
    if removed:
        what = f"{removed:,} of the messages that were deleted first"
        mb = {"freed_mb": round(freed / MB), "free_mb": round(free / MB), "wanted_mb": current().min_free_mb}
        event = record(Actor.system(), EmptyTrash.name, what, done=removed, parameters=mb)
        log.warning("the disk is short: %s: %s", what, event.outcome)
    return removed
