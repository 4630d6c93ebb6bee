"""Undo as a verb: its entries are those that an action took out of the spool, all of them or one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models import F
from django.utils.translation import gettext_lazy as _lazy

from base.audit.models import AuditEvent
from spool.actions.delete import Delete
from spool.actions.verb import Context, Progress, Tally, Verb
from spool.events.actions import named
from spool.flow import doorbell
from spool.models.bulkjob import BulkJob
from spool.places import trash
from spool.places.bins import TRASH, Bin, bin_of


class Undo(Verb):
    """Entries go back into the spool as they were: byte for byte, for the recipients that were still open."""

    name, label, past = "undo", _lazy("Undo"), _lazy("put back")
    chunk = 10_000

    def chunks(self, job: BulkJob) -> Iterator[list[int]]:
        cursor = job.cursor
        left = _rows(job).filter(id__lte=job.last_id).order_by("id").values_list("id", flat=True)
        while ids := list(left.filter(id__gt=cursor)[: self.chunk]):
            cursor = ids[-1]
            yield ids

    def count(self, job: BulkJob) -> int:
        return int(_rows(job).count())

    def is_repeatable(self, parameters: Mapping[str, Any]) -> bool:
        # The file of what was deleted has stayed where it is.
        return parameters.get("action") == Delete.name

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        def note(restored: trash.Restored) -> None:
            for event_id, count in Counter(item.event_id for item in restored.items).items():
                AuditEvent.objects.filter(id=event_id).update(undone=F("undone") + count)
            named(context, "restored", [item.file_name for item in restored.items])
            problem = "were put back already" if restored.gone else ""
            problem = "their files are gone or were changed" if restored.lost else problem
            progress(Tally(len(restored.items), 0, restored.lost + restored.gone, problem), ids[-1])

        _bin(parameters).restore(ids, context.now, note)
        doorbell.ring()


def _bin(parameters: Mapping[str, Any]) -> Bin:
    return bin_of(parameters.get("action", "")) or TRASH


def _rows(job: BulkJob) -> Any:
    """What is left of what the job is to put back."""
    rows = _bin(job.parameters).rows()
    return rows.filter(id__in=job.ids) if job.ids else rows.filter(event_id=job.parameters["event"])
