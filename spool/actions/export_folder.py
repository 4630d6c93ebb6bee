"""Export to a folder: each message as an EML and the JSON of its envelope, which another Mailspool imports.

They are copies, never links: whoever edits one changes nothing in the spool.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.utils import timezone

from base.languages import in_source
from spool.actions import audit, folders
from spool.actions.actor import Actor
from spool.actions.selection import Selection
from spool.actions.verb import Refused, Tally
from spool.files.store import SUFFIX
from spool.filters import SpoolFilter
from spool.message.held import Source, size_of
from spool.models.entry import Entry
from spool.places.contents import sources_of
from spool.transfer import envelopes

CHUNK = 200


@dataclass(slots=True)
class CopiedOut:
    """How many were written; how many of them a worker held meanwhile, so that they may be delivered as well."""

    done: int = 0
    on_the_wire: int = 0
    left: int = 0
    problem: str = ""


def copy_out(what: SpoolFilter | Iterable[int] | Selection, path: Path, actor: Actor) -> CopiedOut:
    """Write what matches into the folder at `path`, which is made when it is missing. Raises NotAllowed and Refused.

    A second run into the same folder brings the envelopes up to date.
    """
    actor.require_actions()
    selection, copied = Selection.of(what), CopiedOut()
    with _opened(path) as folder:
        chosen = selection.filter.to_json() if selection.filter is not None else {}
        event = audit.begin(
            actor, "export", in_source(selection.sentence), chosen=chosen, parameters={"folder": str(path)}
        )
        try:
            for ids in selection.chunks(0, selection.last_id(), CHUNK):
                _copy(ids, folder, copied)
        finally:
            audit.end(event, Tally(copied.done, 0, copied.left, copied.problem))
    return copied


def _copy(ids: list[int], folder: int, copied: CopiedOut) -> None:
    now = timezone.now()
    entries = list(Entry.objects.filter(id__in=ids).prefetch_related("recipients").order_by("id"))
    for entry, source in zip(entries, sources_of(entries), strict=True):
        try:
            _one(entry, source, folder)
        except FileNotFoundError:
            # It has left the spool since.
            continue
        except (Refused, OSError) as error:
            copied.left += 1
            copied.problem = copied.problem or f"{entry.file_name}: {error}"
            continue
        copied.done += 1
        copied.on_the_wire += bool(entry.leased_by and entry.due_at is not None and entry.due_at > now)
    os.fsync(folder)


def _one(entry: Entry, source: Source, folder: int) -> None:
    size_of(source)
    recipients = sorted(entry.recipients.all(), key=lambda recipient: recipient.pk)
    columns = {**vars(entry), "created": entry.created.isoformat()}
    values = envelopes.written(columns, [vars(recipient) for recipient in recipients], {})
    name = f"{entry.file_name.removesuffix(SUFFIX)}.json"
    try:
        folders.write_json(folder, name, values)
    except Refused:
        there = folders.read_json(folder, name)
        if not isinstance(there, dict) or there.get("file") != entry.file_name:
            raise
        folders.remove(folder, name)
        folders.write_json(folder, name, values)
    folders.copy(folder, entry.file_name, source)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}.") from error
    try:
        yield folder
    finally:
        os.close(folder)
