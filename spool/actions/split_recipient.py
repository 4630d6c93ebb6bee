"""Doing something to one recipient alone: the message goes on for the others, and theirs is an entry of its own.

What is done to that (spool.places.splits), and undone, is done to nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from accounts.addresses import key_of
from spool.actions.verb import Context, Tally, claim
from spool.events import mail_log
from spool.events.mail_log import Event, id_of
from spool.places import splits
from spool.rows import entries, recipients, statements

# Each is a file and a few statements.
CHUNK = 100


@dataclass(slots=True)
class Split:
    """Entries whose open recipients are all of one mailbox. `came_from` has for each the entry that was chosen.

    `missing` have no file any more; `busy` may still be on somebody's wire.
    """

    ids: list[int] = field(default_factory=list)
    came_from: dict[int, int] = field(default_factory=dict)
    missing: int = 0
    busy: int = 0
    parts: splits.Parts = field(default_factory=splits.Parts)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The entries that an action is about. `came_from` has for those that were split off the one that was chosen;
    `others` are what was left alone.
    """

    ids: list[int]
    came_from: Mapping[int, int]
    others: Tally


@contextmanager
def chosen(ids: Sequence[int], mailbox: str, context: Context) -> Iterator[Chosen]:
    """A transaction in which the entries `ids` are claimed; with a `mailbox`, what is open for that alone.

    Whatever fails within it leaves no new file. Raises OSError.
    """
    split = Split()
    try:
        with statements.write_transaction():
            claimed = claim(ids, context.now)
            if mailbox:
                _split_off(split, claimed.free, mailbox, context)
                yield Chosen(split.ids, split.came_from, claimed.others + _others(claimed.free, split))
            else:
                yield Chosen(claimed.free, {}, claimed.others)
    except BaseException as error:
        # As soon as it is sure that no row names them.
        split.parts.forsake(error)
        raise


def _split_off(split: Split, ids: Sequence[int], mailbox: str, context: Context) -> None:
    """Have what is open for `mailbox` in the entries `ids` in entries of its own."""
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
            mail_log.after_commit(
                [
                    Event.of(
                        "split",
                        id_of(free[entry_id][1]),
                        to=mailbox,
                        into=id_of(name),
                        by=context.actor,
                        action=context.event_id,
                    )
                    for entry_id, name in names.items()
                ]
            )


def _others(claimed: Sequence[int], split: Split) -> Tally:
    """Those of the claimed entries that were left alone."""
    gone = len(claimed) - len(split.ids) - split.busy
    problem = "their files are missing" if split.missing else "already gone" if gone else ""
    return Tally(busy=split.busy, skipped=gone, problem=problem)


def _recipients_of(ids: Sequence[int], key: str) -> dict[int, list[int]]:
    """The ids of the mailbox's open recipients, by entry."""
    found: dict[int, list[int]] = {}
    for entry_id, number in recipients.open_of_mailbox(ids, key) if ids else ():
        found.setdefault(entry_id, []).append(number)
    return found


def _with_others(ids: Sequence[int], key: str) -> dict[int, tuple[tuple[str, str], str]]:
    """Those of the entries that others wait for too: (subspool, file name) and who works on it."""
    shared = entries.shared_with_others(ids, key) if ids else ()
    return {entry_id: ((subspool, name), leased_by) for entry_id, subspool, name, leased_by in shared}


def _split(split: Split, free: dict[int, tuple[str, str]], mine: dict[int, list[int]]) -> dict[int, str]:
    """The names of the new files, by the entries that they come from."""
    split.parts = splits.begin({entry_id: free[entry_id] for entry_id in sorted(free)})
    split.missing += len(free) - len(split.parts.names)
    for entry_id, new_id in split.parts.move(mine).items():
        split.ids.append(new_id)
        split.came_from[new_id] = entry_id
    return split.parts.names
