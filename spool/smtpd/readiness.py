"""The beginning of a listener: until the database can be used, clients are told to come back."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

from django.db import Error as DatabaseError

from spool.smtpd.shared import Port, Shared
from spool.sockets import service_manager
from spool.sockets.binding import BACKLOG

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
# So long clients wait for an answer of the database; then they are told to come back.
ANSWER_SECONDS = 10.0
# How often it is said again why nothing is taken, and how long systemd is asked to wait each time.
REMIND_SECONDS = 60.0
PATIENCE_SECONDS = 30.0
AWAY = b"421 4.3.2 The server is still starting; try again later\r\n"


async def wait_until_ready(
    shared: Shared, listening: Sequence[tuple[Port, socket.socket]], stop: asyncio.Event, fault: Callable[[], str]
) -> bool:
    """Read settings and let the checks get ready, as soon as `fault` has nothing to say; False when `stop` came first.

    `fault` is asked in a thread. Raises OSError.
    """
    stopping = asyncio.ensure_future(stop.wait())
    attempt = asyncio.ensure_future(_attempt(shared, fault))
    servers: list[asyncio.Server] = []
    waiting = _Waiting()
    try:
        while True:
            await asyncio.wait({attempt, stopping}, timeout=ANSWER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                return False
            if attempt.done():
                why = attempt.result()
                if not why:
                    waiting.end()
                    return True
                waiting.say(why)
            else:
                waiting.go_on()
            if not servers:
                servers = [await _turn_away(port, one) for port, one in listening]
            if attempt.done():
                await asyncio.wait({stopping}, timeout=RETRY_SECONDS)
                attempt = asyncio.ensure_future(_attempt(shared, fault))
    finally:
        stopping.cancel()
        attempt.cancel()
        for server in servers:
            server.close()


async def _attempt(shared: Shared, fault: Callable[[], str]) -> str:
    """Why mail can't be taken yet; empty when it can. Raises OSError."""
    why = await asyncio.to_thread(fault)
    if why:
        return why
    try:
        await shared.refresh()
        await shared.checks.start(shared)
    except DatabaseError as error:
        return f"The database does not answer: {str(error).strip()}."
    return ""


class _Waiting:
    """What is said meanwhile: to systemd each time, and in the log so that it isn't filled with it."""

    def __init__(self) -> None:
        self._why = ""
        self._at = 0.0

    def say(self, why: str) -> None:
        now = asyncio.get_running_loop().time()
        if why != self._why or now > self._at + REMIND_SECONDS:
            self._why, self._at = why, now
            log.error("waiting: %s Clients are told to try again later.", why)
        self.go_on()

    def go_on(self) -> None:
        first_line = (self._why or "The database has not answered yet.").splitlines()[0]
        service_manager.starting(f"waiting: {first_line}", PATIENCE_SECONDS)

    def end(self) -> None:
        if self._why:
            log.warning("the database is there, its schema is this code's, and so are the folders")


class _TurnedAway(asyncio.Protocol):
    """A client that comes too early. It stays for one line: limits and checks can't be known yet."""

    def __init__(self, port: Port) -> None:
        self._port = port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # In a TLS handshake nothing could be said but by the self-signed certificate, which alarms people.
        if not self._port.implicit_tls:
            cast(asyncio.Transport, transport).write(AWAY)
        transport.close()


async def _turn_away(port: Port, one: socket.socket) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    # A copy: closing the server must not close the socket that we listen on afterwards.
    return await loop.create_server(partial(_TurnedAway, port), sock=one.dup(), backlog=BACKLOG)
