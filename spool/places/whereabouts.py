"""Where a message can be: the spool, the trash, what holds messages for a stage; and the traces of those that ended.

Whoever asks whether a message is known asks here, so that no place is forgotten.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from spool.holders import holders
from spool.models.entry import Entry
from spool.models.trace import Trace
from spool.models.trashed import Trashed


def sizes(names: Collection[str]) -> dict[str, int]:
    """Those of the file names `names` whose message is kept somewhere, with its size in bytes.

    By one statement: an entry that is deleted, quarantined or restored at this moment is in one of the tables.
    """
    return dict(_kept(names))


def known(names: Collection[str]) -> set[str]:
    """Those of `names` that are kept somewhere or have ended. One statement, as above."""
    ended = Trace.objects.filter(file_name__in=names).order_by().values_list("file_name", "size_bytes")
    return {name for name, _ in _kept(names).union(ended)}


def _kept(names: Collection[str]) -> Any:
    entries = Entry.objects.filter(file_name__in=names).order_by().values_list("file_name", "size_bytes")
    trashed = Trashed.objects.filter(file_name__in=names).order_by().values_list("file_name", "size_bytes")
    return entries.union(trashed, *(holder.sizes(list(names)) for holder in holders()))
