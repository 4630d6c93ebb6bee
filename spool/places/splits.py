"""Some recipients of an entry become an entry of their own: what becomes of them does not concern the others.

The new entry has the same bytes under a name of its own (a second link to them, or a copy of their rows), and the rows
of those recipients. Files are durable before rows are committed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spool.files import store
from spool.models.content import IN_DATABASE
from spool.places import contents, trash, undecided
from spool.rows import contents as content_rows
from spool.rows import entries


@dataclass(slots=True)
class Parts:
    """The files of new entries, by the entries that they are parts of: `names`, and the `subspools` they are in."""

    names: dict[int, str] = field(default_factory=dict)
    subspools: dict[int, str] = field(default_factory=dict)
    transactions: list[int] = field(default_factory=list)

    def move(self, recipients: Mapping[int, Sequence[int]]) -> dict[int, int]:
        """Give those recipients, by entry, to the new entries; the new ids, by entry. In the caller's transaction."""
        if not self.names:
            return {}
        new_ids, transaction = entries.next_ids(len(self.names))
        self.transactions = [transaction] if transaction else []
        moved = dict(zip(self.names, new_ids, strict=True))
        for entry_id, new_id in moved.items():
            entries.split(entry_id, new_id, self.names[entry_id], recipients[entry_id])
            if self.subspools[entry_id] == IN_DATABASE:
                content_rows.copy(entry_id, new_id)
        return moved

    def forsake(self, error: BaseException) -> None:
        """The transaction ended with `error`: the new files go, as soon as it is sure that no row names them."""
        by_subspool: dict[str, list[str]] = {}
        for entry_id, name in self.names.items():
            if self.subspools[entry_id] == IN_DATABASE:
                continue
            by_subspool.setdefault(self.subspools[entry_id], []).append(name)
        for subspool, names in by_subspool.items():
            undecided.keep(undecided.Batch(subspool, names, self.transactions))
        if by_subspool and not undecided.lost_connection(error):
            undecided.settle_now()


def begin(wanted: Mapping[int, tuple[str, str]]) -> Parts:
    """Give the files of entries, (subspool, name) by id, second names, durable; of those entries that have a file.

    In the caller's transaction. Raises OSError, and then none has two.
    """
    parts = Parts()
    linked: list[Path] = []
    contents.bring_out(list(wanted))
    in_rows = content_rows.there(list(wanted))
    try:
        for (entry_id, (subspool, old)), new in zip(wanted.items(), store.new_file_names(len(wanted)), strict=True):
            if entry_id in in_rows:
                parts.names[entry_id], parts.subspools[entry_id] = new, IN_DATABASE
                continue
            target = store.path_of(subspool, new)
            if trash.link_or_copy(store.path_of(subspool, old), target):
                linked.append(target)
                parts.names[entry_id], parts.subspools[entry_id] = new, subspool
        for folder in {path.parent for path in linked}:
            store.sync_folder(folder)
    except OSError:
        for path in linked:
            store.unlink(path)
        raise
    return parts
