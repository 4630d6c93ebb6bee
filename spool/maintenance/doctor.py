"""What a crash may leave behind, found and mended without loss: files without rows, rows without files and such."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings as django_settings
from django.utils import timezone

from accounts.actor import Actor
from base.action import record
from spool.dropfolder import drop_folder
from spool.files import bucket, claim, incoming, removal, store
from spool.files.finding import CHUNK, YOUNGEST_SECONDS, Finding
from spool.holders import holders
from spool.models.content import IN_DATABASE, Content
from spool.models.entry import Entry
from spool.models.recipient import Recipient
from spool.models.trace import Trace
from spool.models.trashed import Trashed, TrashState
from spool.places import contents as contents_places
from spool.places import objects, whereabouts
from spool.rows import contents, statements

LEFTOVER = "leftover file"
STRAY_OBJECT = "stray object"
STRAY_CONTENT = "stray content"


def examine() -> Iterator[Finding]:
    """Everything that is wrong, subspool by subspool."""
    for subspool in store.subspools():
        yield from _subspool(subspool)
    with_file = Entry.objects.exclude(pk__in=Content.objects.values("entry_id"))
    if contents_places.in_database() and not claim.has_files():
        # The files of the others are on another machine.
        with_file = with_file.filter(subspool=IN_DATABASE)
    for entry in with_file.only("file_name", "subspool").iterator(CHUNK):
        if not store.path_of(entry.subspool, entry.file_name).exists() and with_file.filter(pk=entry.pk).exists():
            name = f"{entry.subspool}/{entry.file_name}"
            yield Finding("missing file", name, "the entry waits and expires; its sender is told")
    yield from _incoming()
    lapsed = Entry.objects.leased().filter(due_at__lt=timezone.now() - timedelta(minutes=1))
    for name in lapsed.values_list("file_name", flat=True)[:CHUNK]:
        yield Finding("lapsed lease", name, "taken by the next pass")
    minute_ago = timezone.now() - timedelta(minutes=1)
    half_moved = Trashed.objects.filter(state=TrashState.MOVING, at__lt=minute_ago)
    for name in half_moved.values_list("file_name", flat=True)[:CHUNK]:
        yield Finding("half moved", name, "moved to the end by its job, or by the hourly maintenance")
    for name in Entry.objects.filter(hold=True, failures__gt=0).values_list("file_name", flat=True)[:CHUNK]:
        yield Finding("set aside", name, "look at its traceback, then release it")
    for aside in drop_folder.rejected():
        yield Finding("rejected drop file", f"{aside.name}: {aside.reason}", "mend it and drop it again, or delete it")
    strays = Recipient.objects.exclude(entry__in=Entry.objects.all())
    if (count := strays.count()) > 0:
        yield Finding("stray recipients", str(count), "removed")
    for entry_id in _stray_contents():
        yield Finding(STRAY_CONTENT, str(entry_id), "moved to lost+found: no message is kept of which it could be")
    if bucket.is_set():
        yield from _bucket()
    for holder in holders():
        yield from holder.examine()


def _bucket() -> Iterator[Finding]:
    try:
        for row in objects.missing():
            yield Finding("missing object", f"{row.key}, of {row.entry_id}", "the message can't be read any more")
        for key, size in objects.strange(timezone.now()):
            yield Finding(STRAY_OBJECT, key, f"removed from the bucket: {size} bytes that no message names")
    except OSError as error:
        yield Finding("bucket", str(error), "see what `mailspool check` says of it")


def _stray_contents() -> Iterator[int]:
    """Those of no message that is kept anywhere."""
    last = 0
    while some := contents.strays(last, CHUNK):
        last = some[-1]
        kept = set().union(*(holder.holding(some) for holder in holders()))
        yield from (number for number in some if number not in kept)


def mend_all(actor: Actor, findings: Iterable[Finding]) -> int:
    """Mend what can be mended, with one record; how many. Raises NotAllowed."""
    actor.require_administration()
    mended = Counter(finding.kind for finding in findings if mend(finding))
    if mended:
        record(actor, "mend", "the spool", done=mended.total(), parameters={"mended": dict(mended)})
    return mended.total()


def mend(finding: Finding) -> bool:
    """Do what `finding.remedy` says, and whether there was something to do: much is done by itself.

    No message is deleted that may be needed.
    """
    if finding.kind == LEFTOVER and finding.path is not None:
        removal.remove(finding.path)
    elif finding.path is not None:
        # The spool may be on a disk of its own.
        shutil.move(finding.path, _lost_and_found() / finding.path.name)
    elif finding.kind == STRAY_CONTENT:
        with statements.write_transaction():
            number = int(finding.what)
            in_rows = contents.look([number])
            with (_lost_and_found() / f"{number}{store.SUFFIX}").open("wb") as file:
                file.writelines(in_rows.whole.values())
                file.writelines(contents.pieces(number, in_rows.parts.get(number, 0)))
            contents.remove([number])
    elif finding.kind == STRAY_OBJECT:
        bucket.remove([finding.what])
    elif finding.kind == "stray recipients":
        Recipient.objects.exclude(entry__in=Entry.objects.all()).delete()
    else:
        return False
    return True


def _lost_and_found() -> Path:
    lost: Path = django_settings.HOME.root / "lost+found"
    lost.mkdir(mode=0o700, exist_ok=True)
    return lost


def clear_leftovers() -> int:
    """Remove the files of messages that have ended, which killed workers could not remove; returns how many."""
    count = 0
    for subspool in store.subspools():
        for finding in _subspool(subspool):
            if finding.kind == LEFTOVER:
                mend(finding)
                count += 1
    return count


def _subspool(subspool: str) -> Iterator[Finding]:
    folder = store.spool_root() / subspool
    before = time.time() - YOUNGEST_SECONDS
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    for start in range(0, len(names), CHUNK):
        some = names[start : start + CHUNK]
        known = whereabouts.sizes(some)
        # A row and its recipients' traces change in one transaction: without a row, all of them have ended.
        ended = set(Trace.objects.filter(file_name__in=set(some) - known.keys()).values_list("file_name", flat=True))
        for name in some:
            path = folder / name
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            if name in ended:
                yield Finding(LEFTOVER, f"{subspool}/{name}", "removed: each of its recipients has an outcome", path)
            elif name not in known:
                if found.st_mtime < before:
                    yield Finding("orphan file", f"{subspool}/{name}", "moved to lost+found", path)
            elif known[name] != found.st_size:
                yield Finding("wrong size", f"{subspool}/{name}", "look at the file: it was changed after intake")


def _changed(path: Path) -> float:
    """When the file was last written (UNIX seconds); now for one that has gone meanwhile."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _incoming() -> Iterator[Finding]:
    before = time.time() - YOUNGEST_SECONDS * 6
    for path in incoming.files():
        if _changed(path) < before:
            yield Finding("unfinished file", path.name, "moved to lost+found", path)
