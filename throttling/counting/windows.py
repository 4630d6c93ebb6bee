"""The counters: one sliding window of an hour for each subject and metric, on Redis, many of them in one round trip.

A window is a sliding window counter, as the library `limits` has it too (the tests compare): what was counted in the
hour before the current one weighs less and less while the current one lasts. `count` asks about the windows of a whole
batch at once, and charges a message to all of them or to none.

A window that Redis does not know (it is new, it has expired, or Redis was emptied) is filled from the ledger before
anything is counted on it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from redis.commands.core import Script

from accounts.models import Metric
from base import redis_client
from throttling.counting import ledger
from throttling.counting.state import SECONDS, Rooms, State, Window
from throttling.subjects import Charge, Subject

_PREFIX = "mailspool:throttle"
# A script's values must find room on Lua's stack.
_MOST_AT_ONCE = 1000

# KEYS: of each window the previous and the current one. ARGV: an hour in milliseconds, and the requests as JSON, each a
# flat list of (window, cost, limit, enforced or not) for each of its charges.
_COUNT = """
local expiry = tonumber(ARGV[1])
local windows, unknown = #KEYS / 2, {}
local lasts, added, blocked = {}, {}, {}
for w = 1, windows do
    local ttl = redis.call('PTTL', KEYS[2 * w])
    if ttl > 2 * expiry then
        -- The clock was set back: it would last too long, and the hour before would weigh too much.
        redis.call('DEL', KEYS[2 * w - 1], KEYS[2 * w])
        ttl = 0
    end
    if ttl <= 0 then
        unknown[#unknown + 1] = w
    elseif ttl < expiry then
        redis.call('RENAME', KEYS[2 * w], KEYS[2 * w - 1])
        ttl = ttl + expiry
        redis.call('SET', KEYS[2 * w], 0, 'PX', ttl)
    end
    lasts[w], added[w] = ttl, 0
end
if #unknown > 0 then return {0, unknown} end
local states, faded = redis.call('MGET', unpack(KEYS)), {}
for w = 1, windows do
    local previous = tonumber(states[2 * w - 1]) or 0
    states[2 * w - 1], states[2 * w] = previous, tonumber(states[2 * w])
    -- The previous window ends an hour before the current one.
    faded[w] = states[2 * w] + math.floor(previous * (lasts[w] - expiry) / expiry)
end
local refusals = {}
for r, charges in ipairs(cjson.decode(ARGV[2])) do
    local refused = 0
    for c = #charges - 3, 1, -4 do
        local w = charges[c]
        if charges[c + 3] == 1 and (blocked[w] or faded[w] + added[w] + charges[c + 1] > charges[c + 2]) then
            refused, blocked[w] = (c + 3) / 4, true
        end
    end
    if refused == 0 then
        for c = 1, #charges, 4 do
            local w = charges[c]
            added[w] = added[w] + charges[c + 1]
        end
    end
    refusals[r] = refused
end
for w = 1, windows do
    if added[w] > 0 then
        redis.call('INCRBY', KEYS[2 * w], string.format('%.0f', added[w]))
        states[2 * w] = states[2 * w] + added[w]
    end
end
return {1, refusals, states, lasts}
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

_FORGET = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('UNLINK', key) end"


@dataclass(frozen=True, slots=True)
class Counted:
    """For each request what refused it (None: it was counted), how the windows stand now, and a charge to each."""

    refusals: list[Charge | None]
    states: Mapping[Window, State]
    charges: Mapping[Window, Charge]

    @property
    def rooms(self) -> Rooms:
        return {window: charge.limit.amount - self.states[window].used for window, charge in self.charges.items()}


def count(requests: Sequence[Sequence[Charge]], ahead: Sequence[Sequence[int]] = ()) -> Counted:
    """Charge each request, in order, to all its windows, unless one that is enforced has no room for it.

    `ahead` has, for each charge of each request, how much room is kept for others that go first.
    Once a window has refused one it refuses all that follow: none may overtake. One round trip, and two more with a
    look at the ledger when a window is not known. Raises redis.RedisError and django.db.Error.
    """
    places: dict[Window, int] = {}
    charges: dict[Window, Charge] = {}
    asked: list[list[int]] = []
    for number, request in enumerate(requests):
        flat: list[int] = []
        kept = ahead[number] if number < len(ahead) else ()
        for index, charge in enumerate(request):
            window = Window(charge.subject, charge.limit.metric)
            place = places.get(window)
            if place is None:
                place = places[window] = len(places) + 1
                charges[window] = charge
            room = charge.limit.amount - (kept[index] if kept else 0)
            flat += (place, charge.cost, room, 1 if charge.enforced else 0)
        asked.append(flat)
    windows = list(places)
    refusals, states = _ask(windows, asked)
    return Counted(
        [request[number - 1] if number else None for request, number in zip(requests, refusals, strict=True)],
        dict(zip(windows, states, strict=True)),
        charges,
    )


def look(windows: Iterable[Window]) -> dict[Window, State]:
    """How windows stand, without counting anything. Raises as `count`."""
    wanted = list(dict.fromkeys(windows))
    states: list[State] = []
    for start in range(0, len(wanted), _MOST_AT_ONCE):
        states += _ask(wanted[start : start + _MOST_AT_ONCE], [])[1]
    return dict(zip(wanted, states, strict=True))


_mistrusted = threading.Event()


def mistrust() -> None:
    """Fill all windows anew once Redis is back: something went on while nobody could count it."""
    _mistrusted.set()


def clear(subject: Subject) -> None:
    """Forget what was counted; the ledger must have forgotten it before. Raises redis.RedisError."""
    windows = [Window(subject, metric) for metric in Metric]
    redis_client.redis().delete(*_keys(windows))


def _ask(windows: list[Window], asked: list[list[int]]) -> tuple[list[int], list[State]]:
    if not windows:
        return [0] * len(asked), []
    keys = _keys(windows)
    if _mistrusted.is_set():
        _script(_FORGET)(args=[f"{_PREFIX}:*"])
        _mistrusted.clear()
    requests = json.dumps(asked)
    while True:
        answer: Any = _script(_COUNT)(keys=keys, args=[SECONDS * 1000, requests])
        if answer[0]:
            _, refusals, values, lasts = answer
            return refusals, [
                State(previous, max(0, last / 1000 - SECONDS), current, last / 1000)
                for previous, current, last in zip(values[::2], values[1::2], lasts, strict=True)
            ]
        _fill([windows[place - 1] for place in answer[1]])


def _fill(windows: list[Window]) -> None:
    states = ledger.states(windows)
    arguments: list[int] = []
    for window in windows:
        state = states[window]
        milliseconds = int(state.previous_seconds * 1000), max(1, int(state.current_seconds * 1000))
        arguments += [state.previous, milliseconds[0], state.current, milliseconds[1]]
    _script(_FILL)(keys=_keys(windows), args=arguments)


def _keys(windows: Iterable[Window]) -> list[str]:
    return [key for window in windows for key in _keys_of(window)]


@lru_cache(10_000)
def _keys_of(window: Window) -> tuple[str, str]:
    """The previous window's and the current one's. The brackets keep the two on one node of a Redis cluster."""
    current = f"{_PREFIX}:{{{window.key}}}"
    return f"{current}/-1", current


@cache
def _script(text: str) -> Script:
    return redis_client.redis().register_script(text.encode())
