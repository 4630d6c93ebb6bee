"""What other workers hold of older mail for the same limits, and have not decided about yet: it goes first.

Near a limit a worker leaves room for it; else of two workers the one that is quicker would send what came later.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate

from spool.flow import leases
from spool.message.envelope import LeasedEntry
from spool.rows import lease
from throttling.counting import ledger
from throttling.counting.state import Window
from throttling.subjects import IPLimits, charges_of, of_entries

# More is not looked at: then some may be overtaken, while a server is flooded.
_MOST = 1000


class Ahead:
    """The costs of such mail, by window: how much of it is older than an entry."""

    def __init__(self, costs: Mapping[Window, list[tuple[int, int]]]) -> None:
        self._ids = {window: [number for number, _ in found] for window, found in costs.items()}
        self._sums = {window: [0, *accumulate(cost for _, cost in found)] for window, found in costs.items()}

    def of(self, window: Window, entry_id: int) -> int:
        """What goes before that entry."""
        if window not in self._ids:
            return 0
        return self._sums[window][bisect_left(self._ids[window], entry_id)]


NOTHING = Ahead({})


def ahead(entries: Sequence[LeasedEntry], ip_limits: IPLimits, now: datetime, owner: str) -> Ahead:
    """What is ahead of `entries`, which `owner` has leased, in one query where that is nothing."""
    newest = max((entry.id for entry in entries), default=0)
    if not newest:
        return NOTHING
    # Every lease lapses within that time.
    rows = lease.held_by_others(owner, now, now + 2 * leases.LEASE, newest, [entry.id for entry in entries], _MOST)
    if not rows:
        return NOTHING
    older = leases.look_at(rows)
    decided, _ = ledger.passed_and_held([entry.file_name for entry in older])
    older = [entry for entry in older if entry.file_name not in decided]
    costs: dict[Window, list[tuple[int, int]]] = {}
    for entry, limited in zip(older, of_entries(older, ip_limits), strict=True):
        for charge in charges_of(entry, limited) if limited else ():
            costs.setdefault(Window(charge.subject, charge.limit.metric), []).append((entry.id, charge.cost))
    return Ahead({window: sorted(found) for window, found in costs.items()})
