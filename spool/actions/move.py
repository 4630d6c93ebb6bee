"""Move Messages: out of the spool, into a folder of files that people can look at, and that can be put back.

Each message becomes two files, its EML and a JSON of its envelope. Rows go first, into a Trashed row that knows the
target; then the files are made in the folder and synced, and only then the one in the spool goes. A message for which
that fails (a full disk, a file of that name) is put back into the spool at once.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db.models import QuerySet

from spool.actions import folders, split_recipient
from spool.actions.delete import mailbox_of
from spool.actions.verb import Context, Note, Progress, Refused, Tally, Verb
from spool.events.actions import changed
from spool.files import removal, store
from spool.models.settings import current
from spool.models.trashed import Trashed, TrashState
from spool.places import trash
from spool.rows import statements, trashed
from spool.rows.packing import Packed
from spool.transfer import envelopes

log = logging.getLogger(__name__)

# Longer than any chunk takes: what is still moving then was left by a crash.
LEFT_BEHIND = timedelta(minutes=10)


class Move(Verb):
    """To a folder below the allowed roots."""

    name, label, past = "move", "Move Messages", "moved"
    icon, agree = "drive_file_move", "Move"
    inputs = (folders.INPUT,)
    chunk = 100
    undoable = True
    of_mailbox = True

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        path = folders.checked(str(given.get("folder") or ""))
        # Whether it can be opened, before anything is taken out of the spool.
        with folders.opened(path, create=True):
            return {"folder": str(path), **mailbox_of(given)}

    def effect(self, parameters: Mapping[str, Any]) -> str:
        days = current().trash_days
        mailbox = parameters.get("mailbox")
        what = (
            f"They are not delivered to {mailbox}; their other recipients still get them. They"
            if mailbox
            else "They leave the spool, are not delivered, and"
        )
        return (
            f"{what} become files in {parameters['folder']}: an EML and a JSON of"
            f" the envelope for each. Undo works for {days} days; put back for as long as the files are there."
        )

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        folder = folders.checked(parameters["folder"])
        with split_recipient.chosen(ids, parameters.get("mailbox", ""), context) as chosen:
            reply = f"Moved to {folder} by {context.actor}"
            taken = trash.take(chosen.ids, context.event_id, context.now, reply, TrashState.MOVING, str(folder))
            progress(chosen.others, ids[-1])
        self.finish(taken, parameters, context, lambda tally: progress(tally, ids[-1]))

    def half_done(self, event_id: int) -> list[int]:
        ours = Trashed.objects.filter(event=event_id)
        moving = list(ours.filter(state=TrashState.MOVING).order_by("id").values_list("id", flat=True))
        # Of those that were moved last the file in the spool may still be there.
        last = ours.filter(state=TrashState.MOVED).order_by("-id")[: self.chunk]
        return moving + [row.id for row in last if store.path_of(row.subspool, row.file_name).exists()]

    def finish(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, note: Note) -> None:
        folder = folders.checked(parameters["folder"])

        def count(moved: set[int]) -> None:
            changed(context, "moved", Trashed.objects.filter(id__in=moved), folder=str(folder))
            note(Tally(len(moved)))

        moved, problem = make_files(ids, folder, count)
        if failed := [number for number in ids if number not in moved]:
            trash.restore(failed, context.now, lambda restored: note(Tally(0, 0, len(failed), problem)))


def make_files(ids: Sequence[int], path: Path, note: Callable[[set[int]], None] | None = None) -> tuple[set[int], str]:
    """Make the files of entries in state MOVING; those that are moved now, and why others are not.

    `note` is called with the former in the transaction that says so.
    """
    moved: set[int] = set()
    problem = ""
    sources: list[Path] = []
    # Before anybody has to wait for it.
    fingerprints = trash.fingerprints_of(trash.files_of(ids))
    # Under the rows' locks, so that nobody restores what is being moved.
    with statements.write_transaction():
        found = trash.locked(ids)
        rows = {item.id: item for item in found if item.state == TrashState.MOVING}
        before = {item.id: item.in_spool for item in found if item.state == TrashState.MOVED}
        try:
            with folders.opened(path, create=True) as folder:
                for row in Trashed.objects.filter(id__in=list(rows)).prefetch_related("recipients").order_by("id"):
                    try:
                        write_pair(folder, _packed(row), rows[row.id].in_spool)
                    except (Refused, OSError) as error:
                        problem = problem or _words(error)
                        continue
                    moved.add(row.id)
                    sources.append(rows[row.id].in_spool)
                os.fsync(folder)
        except Refused as error:
            return set(before), str(error)
        trashed.set_moved([(number, fingerprints.get(number, "")) for number in sorted(moved)])
        if note is not None:
            note(moved)
        # Under the lock too: whoever restores has the file in the spool again.
        for source in before.values():
            removal.remove(source)
    for source in sources:
        removal.remove(source)
    return moved | before.keys(), problem


def finish(now: datetime) -> int:
    """What a crash has left half moved: moved to the end, or else put back into the spool; how many messages."""
    return finish_each(
        Trashed.objects.filter(state=TrashState.MOVING, at__lt=now - LEFT_BEHIND),
        make_files,
        lambda ids: trash.restore(ids, now),
        log,
        "messages could not be moved to %s and are in the spool again: %s",
    )


def finish_each(
    left: QuerySet[Any],
    make: Callable[[list[int], Path], tuple[Collection[int], str]],
    give_back: Callable[[list[int]], object],
    logger: logging.Logger,
    warning: str,
) -> int:
    """Move the rows that are `left` half moved to the end, target by target, or give them back; how many rows.

    `make` makes the files of some ids in a folder, and returns those that have theirs and what was wrong with the rest.
    """
    found = 0
    for target in list(left.order_by().values_list("target", flat=True).distinct()):
        ids = list(left.filter(target=target).values_list("id", flat=True))
        found += len(ids)
        moved: Collection[int] = ()
        try:
            moved, problem = make(ids, folders.checked(target))
        except Refused as error:
            problem = str(error)
        if len(moved) < len(ids):
            logger.warning(warning, target, problem)
            give_back([number for number in ids if number not in moved])
    return found


def write_pair(folder: int, row: Packed, source: Path) -> None:
    """Make the EML and the JSON of one message in `folder`: both files, or none. Raises Refused and OSError."""
    stem = row.file_name.removesuffix(store.SUFFIX)
    if not source.exists():
        raise Refused("the message file is missing")
    folders.write_json(folder, f"{stem}.json", envelope_of(row))
    try:
        folders.place(folder, row.file_name, source)
    except (Refused, OSError):
        folders.remove(folder, f"{stem}.json")
        raise


@dataclass(slots=True)
class _Row:
    """A row of the trash as `Packed`."""

    file_name: str
    at: datetime
    entry: dict[str, Any]
    recipients: list[dict[str, Any]]


def _packed(row: Trashed) -> Packed:
    recipients = sorted(row.recipients.all(), key=lambda recipient: recipient.pk)
    entry = {**vars(row), "created": row.created.isoformat()}
    return _Row(row.file_name, row.at, entry, [vars(recipient) for recipient in recipients])


def envelope_of(row: Packed) -> dict[str, Any]:
    """The envelope for people and for putting back: only the recipients that are still open are delivered to again."""
    return envelopes.written({**row.entry, "file_name": row.file_name}, row.recipients, {"moved": row.at.isoformat()})


def _words(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
