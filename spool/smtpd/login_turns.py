"""Whose password is looked at next: a turn for each address, so that who guesses waits behind their own guesses alone.

A password costs a tenth of a second of a core on purpose, so few are looked at at once and the others wait. Addresses
take turns (IPv6 by /64), and those from which somebody has logged in have every other turn: however many strangers
there are, they leave half of it to people who work here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final, TypeVar

from base.expiring import ExpiringSet
from spool.sockets.addresses import counted_as

T = TypeVar("T")

# Argon2 takes 100 MB and a core: with threads of its own it keeps nobody from looking a recipient up.
THREADS: Final = 2
MOST_WAITING: Final = 20
# An office has one address.
MOST_WAITING_KNOWN: Final = 100
PATIENCE_SECONDS: Final = 30.0
_KNOWN_SECONDS: Final = 24 * 3600.0
_MOST_KNOWN: Final = 10_000


class TooManyLogins(Exception):
    """No turn comes soon: too many wait at this address, or it took too long."""


class LoginTurns:
    """Loop thread only."""

    def __init__(self, threads: int = THREADS, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._free = threads
        self._patience_seconds = patience_seconds
        self._threads: Executor = ThreadPoolExecutor(threads, thread_name_prefix="login")
        # Who waits, by address, whose turn is next first: strangers, and addresses that are known.
        self._lines: tuple[dict[str, deque[asyncio.Future[None]]], dict[str, deque[asyncio.Future[None]]]] = ({}, {})
        self._known: ExpiringSet[str] = ExpiringSet(_KNOWN_SECONDS, _MOST_KNOWN)
        self._last_was_known = False

    async def ask(self, ip: str, question: Callable[[], T]) -> T:
        """The answer of `question`, from a thread, when it is the turn of `ip`. Raises TooManyLogins."""
        await self._turn(counted_as(ip))
        try:
            looking = asyncio.get_running_loop().run_in_executor(self._threads, question)
        except BaseException:
            self._ended()
            raise
        # A client that hangs up does not end what its password costs: the turn lasts until then.
        looking.add_done_callback(lambda _: self._ended())
        return await asyncio.shield(looking)

    def succeeded(self, ip: str) -> None:
        """Somebody has logged in from there."""
        self._known.add(counted_as(ip))

    async def _turn(self, address: str) -> None:
        if self._free and not any(self._lines):
            self._free -= 1
            return
        is_known = address in self._known
        lines = self._lines[is_known]
        line = lines.setdefault(address, deque())
        if len(line) >= (MOST_WAITING_KNOWN if is_known else MOST_WAITING):
            raise TooManyLogins
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            async with asyncio.timeout(self._patience_seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # It came at the same moment.
                self._ended()
            else:
                if turn in line:
                    line.remove(turn)
                if not line and lines.get(address) is line:
                    del lines[address]
            if isinstance(error, TimeoutError):
                raise TooManyLogins from None
            raise

    def _ended(self) -> None:
        self._free += 1
        while self._free and (turn := self._next()) is not None:
            self._free -= 1
            turn.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        for is_known in (not self._last_was_known, self._last_was_known):
            lines = self._lines[is_known]
            for address in list(lines):
                line = lines.pop(address)
                # One that was cancelled takes itself out a moment later.
                turn = next((one for one in line if not one.done()), None)
                if turn is None:
                    continue
                line.remove(turn)
                if line:
                    lines[address] = line
                self._last_was_known = is_known
                return turn
        return None
