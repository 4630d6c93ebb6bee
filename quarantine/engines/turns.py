"""Whose turn it is to ask an engine: no more questions at once than its server has children, the others in line.

An engine that is asked more than it can answer answers nobody in time. To wait for a turn is no failure of the engine,
and costs nothing of a check's own time limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quarantine.models.addresses import parse_server
from quarantine.models.antispam import AntispamSettings
from quarantine.models.check import SERVERS, Check
from spool.monitoring import programs


class Busy(Exception):
    """There was no turn within the time that messages wait in line; the sentence says so."""


# By the server that is asked: checks may share one. A pass has a loop of its own, and so have its places.
_loop: asyncio.AbstractEventLoop | None = None
_places: dict[tuple[str, str], tuple[int, asyncio.Semaphore]] = {}


@asynccontextmanager
async def turn(check: Check) -> AsyncIterator[None]:
    """Within it the check may ask its server. Raises Busy."""
    places = _places_of(check)
    if places.locked():
        await _stand_in_line(places)
    else:
        await places.acquire()
    try:
        yield
    finally:
        places.release()


async def _stand_in_line(places: asyncio.Semaphore) -> None:
    seconds = AntispamSettings.last_read().line_seconds
    try:
        async with asyncio.timeout(seconds):
            await places.acquire()
    except TimeoutError as error:
        raise Busy(f"busy: no turn within {seconds} s") from error


def share_of(check: Check) -> int:
    """How many questions one process may ask at once: all that ask the same server together as many as the check may,
    or nearly. A server on this machine is asked by this machine's workers."""
    live = programs.known().live
    return -(-check.most_at_once // (live.here if _is_here(check) else live.everywhere))


def _is_here(check: Check) -> bool:
    if check.kind not in SERVERS:
        return False
    server = parse_server(check.where)
    return bool(server.path) or server.host in ("localhost", "::1") or server.host.startswith("127.")


def _places_of(check: Check) -> asyncio.Semaphore:
    global _loop
    loop = asyncio.get_running_loop()
    if loop is not _loop:
        _loop = loop
        _places.clear()
    key, most = (check.kind, check.where), share_of(check)
    known = _places.get(key)
    if known is None or known[0] != most:
        known = _places[key] = (most, asyncio.Semaphore(most))
    return known[1]
