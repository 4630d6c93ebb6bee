"""The arithmetic of sliding windows, without Redis: where a window must stand, and when it has room again."""

from __future__ import annotations

import math
from collections.abc import Iterable

from throttling.counting.state import EMPTY, SECONDS, State

# What Redis is asked a moment too early is refused once more.
_MARGIN_SECONDS = 0.005


def replay(counted: Iterable[tuple[float, int]], now: float) -> State:
    """The state at `now` of a window on which each (UNIX seconds, amount), in order, was counted."""
    start: float | None = None
    previous = current = 0
    for moment, amount in [*counted, (now, 0)]:
        if start is not None and moment - start >= 2 * SECONDS:
            start, previous, current = None, 0, 0
        if start is not None and moment - start >= SECONDS:
            start, previous, current = start + SECONDS, current, 0
        if start is None:
            start = moment
        current += amount
    if start is None or not (previous or current):
        return EMPTY
    return State(previous, start + SECONDS - now, current, start + 2 * SECONDS - now)


def seconds_until(state: State, limit: int, needed: int) -> float:
    """In how many seconds there is room for `needed` more, when nothing else comes.

    More than a whole limit takes the limit's worth each hour.
    """
    hours, rest = divmod(max(1, needed) - 1, limit)
    return hours * SECONDS + _until(state, limit, rest + 1)


def _until(state: State, limit: int, needed: int) -> float:
    if state.used + needed <= limit:
        return 0.0
    # While the current window lasts, the previous one fades.
    shift = max(0.0, state.current_seconds - SECONDS)
    room = limit - needed - state.current
    if room >= 0:
        wait = state.previous_seconds - (room + 1) * SECONDS / state.previous
        if wait < shift:
            return max(0.0, wait) + _MARGIN_SECONDS
    if state.current == 0:
        return shift + _MARGIN_SECONDS
    # Then it is the current one that fades.
    wait = SECONDS - (limit - needed + 1) * SECONDS / state.current
    return shift + min(max(0.0, wait), SECONDS) + _MARGIN_SECONDS


def share(used: int, limit: int) -> int:
    """Per cent of a limit, rounded down."""
    return math.floor(100 * used / limit) if limit else 0
