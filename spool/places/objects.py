"""Objects in the bucket from their announcement to their end, and back into the database.

spool.rows.objects says why nothing that a message may still need is removed. What is removed here is what no message
names: objects whose message has ended, and those that were put for a message whose commit never came.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import Error as DatabaseError
from django.utils import timezone

from base.background import Background
from spool.files import bucket, store
from spool.models.content import StoredObject
from spool.models.installation import Installation
from spool.rows import contents, entries, objects, statements

log = logging.getLogger(__name__)

# Much longer than putting one and committing its message take; after that no commit can have it any more.
ANNOUNCED_FOR: Final = timedelta(hours=1)
# What no row knows was left by somebody who was stopped amid putting it, or is of a database that was set back.
STRANGE_AFTER: Final = timedelta(days=1)
_AT_ONCE: Final = 500
# Backups of this database hold it (as a session's, shared): nothing is removed meanwhile.
_LOCK: Final = 7_305_211_946_022_001


def folder() -> str:
    """Where in the bucket this installation's objects are: others may share it. Raises django.db.Error."""
    return str(Installation.objects.get_or_create(pk=1)[0].identifier)


def announce(size_bytes: int, now: datetime) -> str:
    """The key of an object that is about to be put. Raises django.db.Error."""
    key = f"{folder()}/{store.new_file_names(1)[0].removesuffix(store.SUFFIX)}"
    objects.announce(key, size_bytes, now)
    return key


def sweep() -> None:
    """SPOOL_SWEEPS: remove what is to go, and bring home what is to come. The sweep does not wait for the bucket."""
    if bucket.is_set():
        tidier.start()


def tidy() -> None:
    """Do it. Whatever hangs, the next sweep goes on."""
    try:
        count = clear(timezone.now())
        if not settings.MAILSPOOL_S3_KB or settings.MAILSPOOL_STORE != "database":
            bring_home()
    except (OSError, DatabaseError) as error:
        log.error("objects can't be removed yet: %s", error, extra={"seldom": True})
        return
    if count:
        log.info("%d objects of messages that have ended were removed", count)


tidier: Final = Background("tidying the bucket", tidy)


def clear(now: datetime) -> int:
    """Remove the objects that no message has; how many. Raises OSError and django.db.Error."""
    with statements.write_transaction():
        objects.doom_announced(now - ANNOUNCED_FOR)
    count = 0
    while rows := objects.doomed(_AT_ONCE):
        with statements.write_transaction():
            if not _may_remove():
                return count
            # In here a backup waits for us, and no other one of us does the same.
            bucket.remove([key for _, key, alone in rows if alone])
            objects.remove([number for number, _, _ in rows])
        count += len(rows)
    return count


def doom_ended(now: datetime) -> None:
    """SPOOL_HOUSEKEEPING: the objects of messages that a version of before has ended, which knew nothing of them."""
    with statements.write_transaction():
        objects.doom_ended(now)


def _may_remove() -> bool:
    if statements.on_sqlite():
        return True
    return bool(statements.execute("SELECT pg_try_advisory_xact_lock(%s)", (_LOCK,)).fetchone()[0])


def hold() -> None:
    """Have nothing removed until this thread's connection ends, as of now. A backup calls it before its snapshot."""
    if not statements.on_sqlite():
        statements.execute("SELECT pg_advisory_lock_shared(%s)", (_LOCK,)).fetchone()


def let_go() -> None:
    """The opposite."""
    if not statements.on_sqlite():
        statements.execute("SELECT pg_advisory_unlock_shared(%s)", (_LOCK,)).fetchone()


def bring_home() -> int:
    """Have the content of messages in rows that is in the bucket, but of those that somebody works on; how many.

    Raises OSError and django.db.Error.
    """
    count = last = 0
    while rows := objects.kept(last, _AT_ONCE):
        for entry_id, key, size_bytes in rows:
            last = entry_id
            try:
                with statements.write_transaction():
                    # One that is in the trash or in a quarantine has no entry.
                    if entries.lock_free([entry_id], lapsed=None) or not entries.count([entry_id]):
                        count += contents.bring_home(entry_id, bucket.pieces(key, size_bytes))
            except FileNotFoundError as error:
                # The doctor tells of it.
                log.error("%s: %s", key, error, extra={"seldom": True})
    return count


def strange(now: datetime) -> Iterator[tuple[str, int]]:
    """Key and bytes of objects of ours that no row knows, and that were not put just now. Raises OSError."""
    some: dict[str, int] = {}
    for key, size, at in bucket.sizes(folder()):
        if at < now - STRANGE_AFTER:
            some[key] = size
        if len(some) >= _AT_ONCE:
            yield from _unknown(some)
            some = {}
    yield from _unknown(some)


def missing() -> Iterator[StoredObject]:
    """The rows of messages whose objects are not in the bucket. Raises OSError and django.db.Error."""
    there = {key for key, _, _ in bucket.sizes(folder())}
    for row in StoredObject.objects.filter(entry_id__isnull=False).order_by("entry_id").iterator(_AT_ONCE):
        if row.key not in there:
            yield row


def _unknown(some: dict[str, int]) -> Iterator[tuple[str, int]]:
    known = objects.known(list(some))
    yield from ((key, size) for key, size in some.items() if key not in known)
