"""Move Messages: out of the spool, into a folder of files that people can look at, and that can be put back.

Each message becomes two files, its EML and a JSON of its envelope. Rows go first, into a Trashed row that knows the
target; then the files are made in the folder and synced, and only then the one in the spool goes. A message for which
that fails (a full disk, a file of that name) is put back into the spool at once.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from spool.actions import folders, split_recipient
from spool.actions.delete import mailbox_of
from spool.actions.verb import Context, Note, Progress, Refused, Tally, Verb
from spool.events.actions import changed
from spool.files import removal, store
from spool.message.held import Source
from spool.models.settings import current
from spool.models.trashed import TrashState
from spool.places import trash
from spool.places.bins import TRASH, Bin
from spool.rows import statements
from spool.rows.packing import Packed
from spool.transfer import envelopes

log = logging.getLogger(__name__)

# Longer than any chunk takes: what is still moving then was left by a crash.
LEFT_BEHIND = timedelta(minutes=10)


class Move(Verb):
    """To a folder below the allowed roots."""

    name, label, past = "move", _lazy("Move Messages"), _lazy("moved")
    icon, agree = "drive_file_move", _lazy("Move")
    inputs = (folders.INPUT,)
    chunk = 100
    undoable = True
    of_mailbox = True
    # Where the rows are meanwhile.
    bin: ClassVar[Bin] = TRASH

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        path = folders.checked(str(given.get("folder") or ""))
        # Whether it can be opened, before anything is taken out of the spool.
        with folders.opened(path, create=True):
            return {"folder": str(path), **mailbox_of(given)}

    def effect(self, parameters: Mapping[str, Any]) -> str:
        days = current().trash_days
        mailbox = parameters.get("mailbox")
        if mailbox:
            said = _(
                "They are not delivered to %(mailbox)s; their other recipients still get them. They become files in"
                " %(folder)s: an EML and a JSON of the envelope for each. Undo works for %(days)s days; put back for as"
                " long as the files are there."
            )
        else:
            said = _(
                "They leave the spool, are not delivered, and become files in %(folder)s: an EML and a JSON of the"
                " envelope for each. Undo works for %(days)s days; put back for as long as the files are there."
            )
        return said % {"mailbox": mailbox, "folder": parameters["folder"], "days": days}

    def begin(
        self, ids: Sequence[int], folder: Path, parameters: Mapping[str, Any], context: Context, progress: Progress
    ) -> list[int]:
        """Take messages away, in the state MOVING; those that were there. It notes its progress in its transaction."""
        with split_recipient.chosen(ids, parameters.get("mailbox", ""), context) as chosen:
            reply = f"Moved to {folder} by {context.actor}"
            taken = trash.take(chosen.ids, context.event_id, context.now, reply, TrashState.MOVING, str(folder))
            progress(chosen.others, ids[-1])
        return taken

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        begun = self.begin(ids, folders.checked(parameters["folder"]), parameters, context, progress)
        self.finish(begun, parameters, context, lambda tally: progress(tally, ids[-1]))

    def half_done(self, event_id: int) -> list[int]:
        ours = self.bin.rows().filter(event=event_id)
        moving = list(ours.filter(state=TrashState.MOVING).order_by("id").values_list("id", flat=True))
        # Of those that were moved last the file may still be where it was.
        last = list(ours.filter(state=TrashState.MOVED).order_by("-id").values_list("id", flat=True)[: self.chunk])
        return moving + [row.id for row in self.bin.find(last) if any(path.exists() for path in row.paths)]

    def finish(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, note: Note) -> None:
        folder = folders.checked(parameters["folder"])

        def count(moved: set[int]) -> None:
            changed(context, "moved", self.bin.rows().filter(id__in=moved), folder=str(folder))
            note(Tally(len(moved)))

        moved, problem = make_files(self.bin, ids, folder, count)
        if failed := [number for number in ids if number not in moved]:
            self.bin.restore(failed, context.now, lambda restored: note(Tally(0, 0, len(failed), problem)))


def make_files(
    kept: Bin, ids: Sequence[int], path: Path, note: Callable[[set[int]], None] | None = None
) -> tuple[set[int], str]:
    """Make the files of messages in state MOVING; those that are moved now, and why others are not.

    `note` is called with the former in the transaction that says so.
    """
    moved: set[int] = set()
    problem = ""
    # Before anybody has to wait for it.
    fingerprints = trash.fingerprints_of((row.id, row.path) for row in kept.find(ids) if row.paths)
    # Under the rows' locks, so that nobody puts back what is being moved.
    with statements.write_transaction():
        rows = kept.find(ids, lock=True)
        before = [row for row in rows if row.state == TrashState.MOVED]
        try:
            with folders.opened(path, create=True) as folder:
                for row, envelope in kept.packed([row for row in rows if row.state == TrashState.MOVING]):
                    try:
                        write_pair(folder, envelope, trash.source_of(row))
                    except (Refused, OSError) as error:
                        problem = problem or _words(error)
                        continue
                    moved.add(row.id)
                os.fsync(folder)
        except Refused as error:
            return {row.id for row in before}, str(error)
        kept.set_moved([(number, fingerprints.get(number, "")) for number in sorted(moved)])
        if note is not None:
            note(moved)
        # Under the lock too: whoever puts back has the file where it was again.
        _remove_files(before)
    _remove_files([row for row in rows if row.id in moved])
    return moved | {row.id for row in before}, problem


def _remove_files(rows: Sequence[trash.Kept]) -> None:
    for row in rows:
        for path in row.paths:
            removal.remove(path)


def finish(now: datetime, kept: Bin = TRASH) -> int:
    """What a crash has left half moved: moved to the end, or else put back; how many messages."""
    left = kept.rows().filter(state=TrashState.MOVING, **{f"{kept.taken_at}__lt": now - LEFT_BEHIND})
    found = 0
    for target in list(left.order_by().values_list("target", flat=True).distinct()):
        ids = list(left.filter(target=target).values_list("id", flat=True))
        found += len(ids)
        moved: set[int] = set()
        try:
            moved, problem = make_files(kept, ids, folders.checked(target))
        except Refused as error:
            problem = str(error)
        if failed := [number for number in ids if number not in moved]:
            log.warning("messages could not be moved to %s and are where they were: %s", target, problem)
            kept.restore(failed, now, None)
    return found


def write_pair(folder: int, row: Packed, source: Source) -> None:
    """Make the EML and the JSON of one message in `folder`: both files, or none. Raises Refused and OSError."""
    stem = row.file_name.removesuffix(store.SUFFIX)
    if not source.exists():
        raise Refused("the message file is missing")
    folders.write_json(folder, f"{stem}.json", envelope_of(row))
    try:
        if isinstance(source, Path):
            folders.place(folder, row.file_name, source)
        else:
            folders.copy(folder, row.file_name, source)
    except (Refused, OSError):
        folders.remove(folder, f"{stem}.json")
        raise


def envelope_of(row: Packed) -> dict[str, Any]:
    """The envelope for people and for putting back: only the recipients that are still open are delivered to again."""
    return envelopes.written({**row.entry, "file_name": row.file_name}, row.recipients, {"moved": row.at.isoformat()})


def _words(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
