"""Where rows are that actions took away and that can be put back: the trash, and what another app adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from spool.models.trashed import Trashed
from spool.places import trash
from spool.rows import trashed
from spool.rows.packing import Packed

Note = Callable[[trash.Restored], None]


class Find(Protocol):
    """The rows with these ids that are there, in order; with `lock`, until the caller's transaction ends."""

    def __call__(self, ids: Sequence[int], *, lock: bool = False) -> Sequence[trash.Kept]: ...


@dataclass(frozen=True, slots=True)
class Bin:
    """The rows that `actions` took away, what puts them back, and what is needed to move their files to a folder.

    `rows` is a queryset of a model with `id`, `event` (the AuditEvent of that action), `file_name`, `target`, `state`
    (that of a move is one of TrashState) and, as `taken_at`, the moment at which they were taken. `restore` takes their
    ids and does what trash.restore does; `packed` gives what `find` has found, each with its envelope; `set_moved`
    notes the (id, fingerprint) of those whose files are in their folder now.
    """

    actions: tuple[str, ...]
    rows: Callable[[], Any]
    taken_at: str
    restore: Callable[[Sequence[int], datetime, Note | None], trash.Restored]
    find: Find
    packed: Callable[[Sequence[Any]], Iterable[tuple[trash.Kept, Packed]]]
    set_moved: Callable[[Sequence[tuple[int, str]]], None]


TRASH: Final = Bin(
    ("delete", "move"), Trashed.objects.all, "at", trash.restore, trash.find, trash.packed, trashed.set_moved
)
# Another app adds the bins of its own actions.
BINS: Final[list[Bin]] = [TRASH]


def bin_of(action: str) -> Bin | None:
    """Where an action puts what it takes away; None for one that takes nothing."""
    return next((found for found in BINS if action in found.actions), None)
