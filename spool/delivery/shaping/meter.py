"""Turns at a rate that all workers share: on Redis, a line of moments of which each worker takes some.

Who asks waits for half a second at most. While Redis is away each worker takes its part of the rate.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Final

from redis.commands.core import Script
from redis.exceptions import RedisError

from base import redis_client

log = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 0.5
# So far ahead turns are taken: what is taken and not used is lost.
AHEAD_SECONDS: Final = 2.0
MOST_AT_ONCE: Final = 100
_PREFIX: Final = "mailspool:pace:"
_thread = ThreadPoolExecutor(1, thread_name_prefix="pace")

# KEYS: the moment of the next turn (milliseconds of Redis' clock). ARGV: between two turns, how many are wanted, how
# far ahead. Returns how many there are, and in how many milliseconds the first one is.
_TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local between, wanted, ahead = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local due = tonumber(redis.call('GET', KEYS[1])) or now
-- What is further ahead was written while the clock was.
if due < now or due - now > 7200000 then due = now end
local first, count = due - now, 0
if first <= ahead then count = math.min(wanted, math.floor((ahead - first) / between) + 1) end
if count > 0 then
    due = due + count * between
    redis.call('SET', KEYS[1], string.format('%.3f', due), 'PX', math.ceil(due - now) + 60000)
end
return {count, string.format('%.3f', first)}
"""
# ARGV: for how many milliseconds nobody has a turn.
_PAUSE: Final = """
local time = redis.call('TIME')
local due = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
if (tonumber(redis.call('GET', KEYS[1])) or 0) < due then
    redis.call('SET', KEYS[1], string.format('%.3f', due), 'PX', math.ceil(ARGV[1]) + 60000)
end
"""


class Meter:
    """One worker's turns at one site from one source address. Loop thread only; moments are of the monotonic clock."""

    def __init__(self, name: str) -> None:
        self._key = f"{_PREFIX}{{{name}}}"
        self._turns: deque[float] = deque()
        self._asking = asyncio.Lock()
        # By our own part of the rate, when Redis is away.
        self._own_due = 0.0
        self._not_before = 0.0

    async def turn(self, rate: float, wanted: int, patience: float, share: int) -> float:
        """Wait for a turn and take it (0); or in how many seconds there is one, when that is longer than `patience`.

        `rate` is in messages a minute, `wanted` how many turns the caller has use for, and `share` how many workers
        there are.
        """
        deadline = time.monotonic() + patience
        while True:
            if not self._turns:
                async with self._asking:
                    if not self._turns and (missing := await self._take(rate, wanted, patience, share)) > 0:
                        return missing
                continue
            turn = max(self._turns.popleft(), self._not_before)
            now = time.monotonic()
            if turn <= now:
                return 0.0
            if turn > deadline:
                self._turns.appendleft(turn)
                return turn - now
            await asyncio.sleep(turn - now)
            if self._not_before <= turn:
                return 0.0

    def pause(self, seconds: float) -> None:
        """Nobody has a turn for so long, in no worker."""
        self._turns.clear()
        self._not_before = time.monotonic() + seconds
        self._own_due = max(self._own_due, self._not_before)
        asyncio.get_running_loop().run_in_executor(_thread, _pause, self._key, seconds)

    async def _take(self, rate: float, wanted: int, patience: float, share: int) -> float:
        """Take turns; the seconds until there is one, when that is too far ahead."""
        between = 60.0 / rate
        ahead = min(patience, max(AHEAD_SECONDS, between))
        wanted = max(1, min(wanted, MOST_AT_ONCE, math.ceil(AHEAD_SECONDS / between)))
        asked = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                count, first = await loop.run_in_executor(_thread, _take, self._key, between, wanted, ahead)
        except (RedisError, TimeoutError) as error:
            log.debug("a rate is kept without Redis: %s", error)
            between *= share
            due = max(self._own_due, asked)
            first, count = due - asked, 0
            if first <= ahead:
                count = min(wanted, math.floor((ahead - first) / between) + 1)
                self._own_due = due + count * between
        if not count:
            return max(first, 0.001)
        self._turns.extend(asked + first + number * between for number in range(count))
        return 0.0


def _take(key: str, between: float, wanted: int, ahead: float) -> tuple[int, float]:
    answer: Any = _script(_TAKE)(keys=[key], args=[between * 1000, wanted, ahead * 1000])
    return int(answer[0]), float(answer[1]) / 1000


def _pause(key: str, seconds: float) -> None:
    try:
        _script(_PAUSE)(keys=[key], args=[seconds * 1000])
    except RedisError as error:
        log.debug("others are not told of a pause: %s", error)


@cache
def _script(text: str) -> Script:
    return redis_client.redis().register_script(text.encode())
