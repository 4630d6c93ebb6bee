"""The mail of a restored database: nobody works on it any more, and some of it may have been delivered since."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db.models import QuerySet
from django.utils import timezone

from base.action import record
from mailspool.backup.wanted import OBJECTS
from mailspool.home import Home
from quarantine.models.item import Item, ItemState
from spool.actions import Actor, jobs
from spool.models.bulkjob import OPEN, BulkJob
from spool.models.content import StoredObject
from spool.models.entry import Entry
from spool.models.trashed import Trashed, TrashState
from spool.monitoring import machines
from spool.rows import contents, lease, statements


@dataclass(frozen=True, slots=True)
class Settled:
    """What there is now. `due` are the messages that were not on hold: who had them since gets them again."""

    messages: int
    due: int
    under_way: int
    quarantined: int
    trashed: int


def settle(taken: datetime, *, hold: bool) -> Settled:
    """Let go of what workers held when the snapshot was taken; with `hold`, put everything on hold.

    An action in the background goes on where it was; with `hold` it ends, because it might release what is on hold.
    """
    settled = Settled(
        Entry.objects.count(),
        free().count(),
        Entry.objects.leased().count(),
        Item.objects.filter(state=ItemState.HELD).count(),
        Trashed.objects.exclude(state=TrashState.MOVED).count(),
    )
    with statements.write_transaction():
        what = f"the backup of {taken:%Y-%m-%d %H:%M:%S} UTC"
        given = {"messages": settled.messages, "hold": hold}
        record(Actor.at_the_shell(), "restore", what, parameters=given)
        lease.end_all(timezone.now())
        # Who runs here tells of itself.
        machines.forget_all()
        if hold:
            reason = f"Restored from the backup of {taken:%Y-%m-%d %H:%M:%S} UTC"
            free().update(hold=True, hold_reason=reason, due_at=None)
            # Those that were on hold keep their reason, and no end of it.
            Entry.objects.filter(hold_until__isnull=False).update(hold_until=None)
    if hold:
        for job_id in BulkJob.objects.filter(state__in=OPEN).values_list("id", flat=True):
            jobs.cancel(job_id, Actor.at_the_shell())
    return settled


def bring_objects_home(home: Home) -> None:
    """What was in the bucket of the installation that was backed up is in the database here.

    Nothing in that bucket is this one's: the other may still have mail there. Raises OSError.
    """
    folder = home.root / OBJECTS
    for row in StoredObject.objects.filter(entry_id__isnull=False).order_by("entry_id"):
        assert row.entry_id is not None
        with statements.write_transaction():
            try:
                with (folder / row.key).open("rb") as file:
                    contents.bring_home(row.entry_id, iter(partial(file.read, contents.PART_BYTES), b""))
            except FileNotFoundError:
                # It is among those that the backup lacks, or was left out.
                continue
    StoredObject.objects.all().delete()
    shutil.rmtree(folder, ignore_errors=True)


def free() -> QuerySet[Entry]:
    """Messages that are not on hold."""
    return Entry.objects.filter(hold=False)


def names_due() -> list[str]:
    """The file names of messages that are not on hold, oldest first."""
    return list(free().order_by("id").values_list("file_name", flat=True))
