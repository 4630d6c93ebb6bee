"""Letting mail through without a question to Redis while every limit is far away: it is counted a moment later.

What one process lets through uncounted is at most a small share of the room that there was when it last heard, so that
even many processes together stay within a limit. Near a limit, or when nothing is known, Redis is asked first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from accounts.models import Metric
from throttling.counting.state import Rooms, Window
from throttling.subjects import Charge

# So many processes may do it at once.
SHARE = 50
# What was heard is good for so long: others count too, and limits change.
KNOWN_SECONDS = 0.5
# What is owed is counted by then, with what others owe.
COUNTED_WITHIN_SECONDS = 0.05
_MOST_KEPT = 10_000


@dataclass(slots=True)
class _Known:
    """Of one window: until when it is known (monotonic seconds), how much may go uncounted, and how much has: what is
    still owed, and what is on its way to Redis."""

    until: float = 0.0
    share: float = 0.0
    owed: int = 0
    flying: int = 0


class Leeway:
    """What one process knows, and what it has let through and must still have counted. For one thread."""

    def __init__(self) -> None:
        self._windows: dict[Window, _Known] = {}
        self._owing: dict[Window, Charge] = {}
        self._questions = 0

    def lets(self, question: Sequence[Charge]) -> bool:
        """Whether a message, or all of some, may go before they are counted; then they are owed."""
        if self._questions:
            return False
        now = time.monotonic()
        taken: list[tuple[Window, _Known, Charge]] = []
        for charge in question:
            window = Window(charge.subject, charge.limit.metric)
            known = self._windows.get(window)
            if known is None or known.until < now or known.owed + known.flying + charge.cost > known.share:
                for _, earlier, given_back in taken:
                    earlier.owed -= given_back.cost
                return False
            known.owed += charge.cost
            taken.append((window, known, charge))
        for window, _, charge in taken:
            self._owing.setdefault(window, charge)
        return True

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While a question is on its way, which may take all the room that is known of, nothing goes without one."""
        self._questions += 1
        try:
            yield
        finally:
            self._questions -= 1

    def settle(self) -> tuple[Charge, ...]:
        """What is owed: to be counted now."""
        owing, self._owing = self._owing, {}
        owed = []
        for window, charge in owing.items():
            known = self._windows[window]
            # It has gone: nothing can be enforced any more.
            owed.append(charge._replace(cost=known.owed, enforced=False))
            known.flying, known.owed = known.flying + known.owed, 0
        return tuple(owed)

    def heard(self, rooms: Rooms) -> None:
        """How much room there is, with everything counted that was asked or settled before."""
        if len(self._windows) > _MOST_KEPT:
            self._windows = {window: known for window, known in self._windows.items() if window in self._owing}
        until = time.monotonic() + KNOWN_SECONDS
        for window, room in rooms.items():
            known = self._windows.setdefault(window, _Known())
            known.until, known.share, known.flying = until, room / SHARE, 0


class SettledSoon(Leeway):
    """One that hands on what is owed by itself, a moment after something is. In an event loop."""

    def __init__(self, count: Callable[[tuple[Charge, ...]], object]) -> None:
        super().__init__()
        self._count = count
        self._timer: asyncio.TimerHandle | None = None

    def lets(self, question: Sequence[Charge]) -> bool:
        if not super().lets(question):
            return False
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(COUNTED_WITHIN_SECONDS, self.settle_now)
        return True

    def settle_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if owed := self.settle():
            self._count(owed)


def can_be_owed(question: Iterable[Charge]) -> bool:
    """Whether all of it is counted in windows: bounces are not."""
    return all(charge.limit.metric is not Metric.BOUNCES for charge in question)
