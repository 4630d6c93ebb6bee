"""Doing something to one recipient alone: the message goes on for the others, and theirs is an entry of its own.

The new entry has the same bytes under a name of its own (a second link to them), and the recipient's row; what is done
to it, and undone, is done to nobody else. Files are durable before rows are committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accounts.addresses import key_of
from spool import statements, store, trash, undecided
from spool.actions.verb import Context, Tally
from spool.events import mail_log
from spool.events.mail_log import Event, id_of
from spool.models.entry import Entry

# Each is a file and a few statements.
CHUNK = 100
_COLUMNS = [str(one.column) for one in Entry._meta.concrete_fields]
_NEW = {"id": "%s", "file_name": "%s", "recipients_total": "%s", "recipients_done": "0", "direction": "%s"}
_COPY = (
    f"INSERT INTO spool_entry ({', '.join(_COLUMNS)}) SELECT {', '.join(_NEW.get(name, name) for name in _COLUMNS)}"
    " FROM spool_entry WHERE id = %s"
)
_HAS_REMOTE = "EXISTS (SELECT 1 FROM spool_recipient r WHERE r.entry_id = spool_entry.id AND r.kind = 'remote')"
_LEAVE = (
    "UPDATE spool_entry SET recipients_total = recipients_total - %s,"
    f" direction = CASE WHEN {_HAS_REMOTE} THEN 2 ELSE 1 END WHERE id = %s"
)


@dataclass(slots=True)
class Split:
    """Entries whose open recipients are all of one mailbox. `came_from` has for each the entry that was chosen.

    `missing` have no file any more; `busy` may still be on somebody's wire.
    """

    ids: list[int] = field(default_factory=list)
    came_from: dict[int, int] = field(default_factory=dict)
    missing: int = 0
    busy: int = 0
    batches: list[undecided.Batch] = field(default_factory=list)

    def forsake(self, error: BaseException) -> None:
        """The transaction ended with `error`: the new files go, as soon as it is sure that no row names them."""
        for batch in self.batches:
            undecided.keep(batch)
        if self.batches and not undecided.lost_connection(error):
            undecided.settle()


def split_off(ids: Sequence[int], mailbox: str, context: Context) -> Split:
    """Have what is open for `mailbox` in the entries `ids`, which the caller has claimed, in entries of its own.

    Call it in a transaction, and `forsake` when that fails. Raises OSError, and then no new file is left.
    """
    split = Split()
    mine = _recipients_of(ids, key_of(mailbox))
    shared = _with_others(list(mine), key_of(mailbox))
    for entry_id in sorted(mine.keys() - shared.keys()):
        split.ids.append(entry_id)
        split.came_from[entry_id] = entry_id
    free = {entry_id: place for entry_id, (place, leased_by) in shared.items() if not leased_by}
    # Whoever held it may still be at it, and would look for the recipient here.
    split.busy = len(shared) - len(free)
    if free:
        names = _split(split, free, mine)
        if mail_log.is_on():
            mail_log.after_commit([
                Event.of(
                    "split", id_of(free[entry_id][1]), to=mailbox, into=id_of(name), by=context.actor,
                    action=context.event_id,
                )
                for entry_id, name in names.items()
            ])  # fmt: skip
    return split


def others(claimed: Sequence[int], split: Split | None) -> Tally:
    """Those of the claimed entries that were left alone."""
    if split is None:
        return Tally()
    gone = len(claimed) - len(split.ids) - split.busy
    problem = "their files are missing" if split.missing else "were gone already" if gone else ""
    return Tally(busy=split.busy, skipped=gone, problem=problem)


def _recipients_of(ids: Sequence[int], key: str) -> dict[int, list[tuple[int, str]]]:
    """(id, kind) of the mailbox's open recipients, by entry."""
    found: dict[int, list[tuple[int, str]]] = {}
    if ids:
        clause, parameters = statements.id_list(ids)
        rows = statements.execute(
            f"SELECT entry_id, id, kind FROM spool_recipient WHERE entry_id {clause} AND status = 'pending'"
            " AND (address = %s OR address_key = %s) ORDER BY id",
            [*parameters, key, key],
        )
        for entry_id, number, kind in rows.fetchall():
            found.setdefault(entry_id, []).append((number, kind))
    return found


def _with_others(ids: Sequence[int], key: str) -> dict[int, tuple[tuple[str, str], str]]:
    """Those of the entries that others wait for too: (subspool, file name) and who works on it."""
    if not ids:
        return {}
    clause, parameters = statements.id_list(ids)
    rows = statements.execute(
        f"SELECT e.id, e.subspool, e.file_name, e.leased_by FROM spool_entry e WHERE e.id {clause}"
        " AND EXISTS (SELECT 1 FROM spool_recipient r WHERE r.entry_id = e.id AND r.status = 'pending'"
        " AND r.address <> %s AND COALESCE(r.address_key, '') <> %s)",
        [*parameters, key, key],
    )
    return {row[0]: ((row[1], row[2]), row[3]) for row in rows.fetchall()}


def _split(split: Split, free: dict[int, tuple[str, str]], mine: dict[int, list[tuple[int, str]]]) -> dict[int, str]:
    """The names of the new files, by the entries that they come from."""
    names = dict(zip(sorted(free), store.new_file_names(len(free)), strict=True))
    linked = _link({entry_id: (*free[entry_id], name) for entry_id, name in names.items()})
    split.missing += len(free) - len(linked)
    if not linked:
        return {}
    new_ids, transaction = statements.next_entry_ids(len(linked))
    by_subspool: dict[str, list[str]] = {}
    for entry_id in linked:
        by_subspool.setdefault(free[entry_id][0], []).append(names[entry_id])
    transactions = [transaction] if transaction else []
    split.batches = [undecided.Batch(subspool, some, transactions) for subspool, some in by_subspool.items()]
    for entry_id, new_id in zip(linked, new_ids, strict=True):
        numbers = [number for number, _ in mine[entry_id]]
        direction = 2 if any(kind == "remote" for _, kind in mine[entry_id]) else 1
        statements.execute(_COPY, [*_values(new_id, names[entry_id], len(numbers), direction), entry_id])
        clause, parameters = statements.id_list(numbers)
        statements.execute(
            f"UPDATE spool_recipient SET entry_id = %s WHERE id {clause}",
            [new_id, *parameters],
        )
        statements.execute(_LEAVE, [len(numbers), entry_id])
        split.ids.append(new_id)
        split.came_from[new_id] = entry_id
    return {entry_id: names[entry_id] for entry_id in linked}


def _values(new_id: int, name: str, recipients: int, direction: int) -> list[Any]:
    """In the order of the columns."""
    values = {"id": new_id, "file_name": name, "recipients_total": recipients, "direction": direction}
    return [values[name] for name in _COLUMNS if name in values]


def _link(wanted: dict[int, tuple[str, str, str]]) -> list[int]:
    """Give files a second name, durable; the entries that have a file. Raises OSError, and then none has two."""
    linked: dict[int, Path] = {}
    try:
        for entry_id, (subspool, old, new) in wanted.items():
            target = store.path_of(subspool, new)
            if trash.link_or_copy(store.path_of(subspool, old), target):
                linked[entry_id] = target
        for folder in {path.parent for path in linked.values()}:
            store.sync_folder(folder)
    except OSError:
        for path in linked.values():
            store.unlink(path)
        raise
    return list(linked)
