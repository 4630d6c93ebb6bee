"""The counters: one sliding window of an hour for each subject and metric, on Redis, many of them in one round trip.

They are the windows of the library `limits` (sliding window counter): what was counted in the hour before the current
one weighs less and less while the current one lasts. The library asks about one window at a time; `count` asks about a
whole batch at once, and charges a message to all its windows or to none.

A window that Redis does not know (it is new, it has expired, or Redis was emptied) is filled from the ledger before
anything is counted on it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from limits.storage import RedisStorage
from redis.commands.core import Script

from accounts.models import Metric
from spool import doorbell
from throttling.subjects import Charge, Subject

SECONDS = 3600
_PREFIX = "mailspool:throttle"

# As limits' own acquire_sliding_window.lua does it, for many windows and requests.
_COUNT = """
local expiry = tonumber(ARGV[1])
local windows, unknown = #KEYS / 2, {}
local previous, previous_ttl, current, current_ttl, added, blocked = {}, {}, {}, {}, {}, {}
for w = 1, windows do
    local ttl = redis.call('PTTL', KEYS[2 * w])
    if ttl <= 0 then
        unknown[#unknown + 1] = w
    else
        if ttl < expiry then
            redis.call('RENAME', KEYS[2 * w], KEYS[2 * w - 1])
            redis.call('SET', KEYS[2 * w], 0, 'PX', ttl + expiry)
            ttl = ttl + expiry
        end
        previous[w] = tonumber(redis.call('GET', KEYS[2 * w - 1])) or 0
        previous_ttl[w] = math.max(0, redis.call('PTTL', KEYS[2 * w - 1]))
        current[w] = tonumber(redis.call('GET', KEYS[2 * w])) or 0
        current_ttl[w] = ttl
        added[w] = 0
    end
end
if #unknown > 0 then return {0, unknown} end
local refusals = {}
local at = 2
while at <= #ARGV do
    local charges = tonumber(ARGV[at])
    local refused = 0
    for c = charges, 1, -1 do
        local base = at + 4 * (c - 1)
        local w, cost = tonumber(ARGV[base + 1]), tonumber(ARGV[base + 2])
        if ARGV[base + 4] == '1' then
            local used = math.floor(previous[w] * previous_ttl[w] / expiry) + current[w] + added[w]
            if blocked[w] or used + cost > tonumber(ARGV[base + 3]) then
                refused, blocked[w] = c, true
            end
        end
    end
    if refused == 0 then
        for c = 1, charges do
            local base = at + 4 * (c - 1)
            local w = tonumber(ARGV[base + 1])
            added[w] = added[w] + tonumber(ARGV[base + 2])
        end
    end
    refusals[#refusals + 1] = refused
    at = at + 1 + 4 * charges
end
local states = {}
for w = 1, windows do
    if added[w] > 0 then redis.call('INCRBY', KEYS[2 * w], string.format('%.0f', added[w])) end
    states[w] = {string.format('%.0f', previous[w]), previous_ttl[w],
                 string.format('%.0f', current[w] + added[w]), current_ttl[w]}
end
return {1, refusals, states}
"""

# Whoever comes first fills a window; nobody has counted on it before.
_FILL = """
for w = 1, #KEYS / 2 do
    if redis.call('EXISTS', KEYS[2 * w]) == 0 then
        local base = 4 * (w - 1)
        if tonumber(ARGV[base + 2]) > 0 then
            redis.call('SET', KEYS[2 * w - 1], ARGV[base + 1], 'PX', ARGV[base + 2])
        end
        redis.call('SET', KEYS[2 * w], ARGV[base + 3], 'PX', ARGV[base + 4])
    end
end
"""


@dataclass(frozen=True, slots=True)
class Window:
    """What is counted for whom."""

    subject: Subject
    metric: Metric

    @property
    def key(self) -> str:
        return f"{self.subject.kind.value}:{self.subject.name}:{self.metric.value}"


@dataclass(frozen=True, slots=True)
class State:
    """Where a window stands. The previous hour weighs less until `previous_seconds` are over; the current one becomes
    the previous one when `current_seconds` have fallen to an hour."""

    previous: int
    previous_seconds: float
    current: int
    current_seconds: float

    @property
    def used(self) -> int:
        """What counts against the limit now."""
        return math.floor(self.previous * self.previous_seconds / SECONDS) + self.current


EMPTY = State(0, 0.0, 0, 2.0 * SECONDS)


@dataclass(frozen=True, slots=True)
class Counted:
    """For each request what refused it (None: it was counted), and how the windows stand now."""

    refusals: list[Charge | None]
    states: Mapping[Window, State]


def count(requests: Sequence[Sequence[Charge]]) -> Counted:
    """Charge each request, in order, to all its windows, unless one that is enforced has no room for it.

    Once a window has refused one it refuses all that follow: none may overtake. One round trip, and two more with a
    look at the ledger when a window is not known. Raises redis.RedisError and django.db.Error.
    """
    windows = list(dict.fromkeys(Window(c.subject, c.limit.metric) for request in requests for c in request))
    places = {window: place for place, window in enumerate(windows, 1)}
    arguments: list[int] = []
    for request in requests:
        arguments.append(len(request))
        for charge in request:
            place = places[Window(charge.subject, charge.limit.metric)]
            arguments += [place, charge.cost, charge.limit.amount, int(charge.enforced)]
    refusals, states = _ask(windows, arguments)
    return Counted(
        [request[number - 1] if number else None for request, number in zip(requests, refusals, strict=True)],
        dict(zip(windows, states, strict=True)),
    )


def look(windows: Iterable[Window]) -> dict[Window, State]:
    """How windows stand, without counting anything. Raises as `count`."""
    wanted = list(dict.fromkeys(windows))
    return dict(zip(wanted, _ask(wanted, [])[1], strict=True))


_mistrusted = threading.Event()


def mistrust() -> None:
    """Fill all windows anew once Redis is back: something went on while nobody could count it."""
    _mistrusted.set()


def clear(subject: Subject) -> None:
    """Forget what was counted; the ledger must have forgotten it before. Raises redis.RedisError."""
    windows = [Window(subject, metric) for metric in Metric]
    _storage().get_connection().delete(*_keys(windows))


def _ask(windows: list[Window], arguments: list[int]) -> tuple[list[int], list[State]]:
    if not windows:
        return [0] * len(arguments), []
    keys = _keys(windows)
    if _mistrusted.is_set():
        _storage().reset()
        _mistrusted.clear()
    while True:
        answer: Any = _script(_COUNT)(keys=keys, args=[SECONDS * 1000, *arguments])
        if answer[0]:
            return answer[1], [_state(values) for values in answer[2]]
        _fill([windows[place - 1] for place in answer[1]])


def _state(values: Sequence[Any]) -> State:
    previous, previous_ms, current, current_ms = (int(value) for value in values)
    return State(previous, previous_ms / 1000, current, current_ms / 1000)


def _fill(windows: list[Window]) -> None:
    from throttling import ledger

    states = ledger.states(windows)
    arguments: list[int] = []
    for window in windows:
        state = states[window]
        milliseconds = int(state.previous_seconds * 1000), max(1, int(state.current_seconds * 1000))
        arguments += [state.previous, milliseconds[0], state.current, milliseconds[1]]
    _script(_FILL)(keys=_keys(windows), args=arguments)


def _keys(windows: Iterable[Window]) -> list[str]:
    storage = _storage()
    return [
        storage.prefixed_key(name(window.key))
        for window in windows
        for name in (storage._previous_window_key, storage._current_window_key)
    ]


@cache
def _storage() -> RedisStorage:
    return RedisStorage("redis://", connection_pool=doorbell.redis().connection_pool, key_prefix=_PREFIX)


@cache
def _script(text: str) -> Script:
    return _storage().get_connection().register_script(text.encode())
