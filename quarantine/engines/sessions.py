"""clamd's sessions (IDSESSION, clamd(8)): one connection for many scans, one after the other.

To connect takes longer than the whole rest of a scan, on both sides.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from typing import Final

from quarantine.engines import connections
from quarantine.engines.answers import EngineFailed
from quarantine.models.addresses import ServerAddress
from spool.message.held import Source
from spool.message.summary import storable

CHUNK_BYTES: Final = 64 * 1024
LONGEST_REPLY: Final = 4096
# Well before clamd gives up on a session (IdleTimeout, 30 s).
IDLE_SECONDS: Final = 3.0
_NUMBERED: Final = re.compile(r"(\d+): (.*)", re.DOTALL)


class NoSessions(EngineFailed):
    """The server does not know the command that begins a session."""


class Session:
    """A connection, and how many scans it has seen; with `alone` it is for one, without the word of sessions."""

    def __init__(self, line: connections.Line, *, alone: bool = False) -> None:
        self._line = line
        self._alone = alone
        self._scans = 0
        # Whether the server keeps it open for another scan.
        self.lasts = False
        self.used = 0.0

    def close(self) -> None:
        self._line.close()

    async def instream(self, message: Source) -> str:
        """The signature that is found in the message, or "". Raises EngineFailed, OSError and IncompleteReadError."""
        begin = b"zINSTREAM\0" if self._scans or self._alone else b"zIDSESSION\0zINSTREAM\0"
        self._scans += 1
        self.lasts = False
        with message.open("rb") as file:
            try:
                while len(chunk := file.read(CHUNK_BYTES)) == CHUNK_BYTES:
                    await self._line.send(begin + len(chunk).to_bytes(4) + chunk)
                    begin = b""
                last = len(chunk).to_bytes(4) + chunk if chunk else b""
                await self._line.send(begin + last + bytes(4))
            except ConnectionError:
                # What it has against the message, its size above all, it says before it closes.
                pass
        reply = await self._line.until(b"\0", LONGEST_REPLY)
        text = reply.rstrip(b"\0").decode("utf-8", "replace").strip()
        # Something else that speaks INSTREAM may know no sessions, and says the same without a number.
        if numbered := _NUMBERED.fullmatch(text):
            if int(numbered[1]) != self._scans:
                raise EngineFailed(f"it answered {text[:200]!r} to scan {self._scans}")
            text = numbered[2]
        elif text.upper().startswith("UNKNOWN COMMAND") and self._scans == 1 and not self._alone:
            raise NoSessions(f"it answered {text[:200]!r}")
        signature = understand(text)
        self.lasts = numbered is not None
        self.used = time.monotonic()
        return signature


class Sessions(threading.local):
    """Those that nobody uses now, for as long as one event loop lives. Each thread has its own."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._free: dict[ServerAddress, list[Session]] = {}
        # Servers that know no sessions.
        self._without: set[ServerAddress] = set()
        self._look: asyncio.TimerHandle | None = None

    async def instream(self, server: ServerAddress, message: Source) -> str:
        """The signature that `server` finds in the file, or "". Raises as Session.instream does."""
        kept = self._kept(server)
        if kept is not None:
            try:
                return await self._scan(server, kept, message)
            except (ConnectionError, asyncio.IncompleteReadError):
                # It may have been closed since, and that says nothing about the next.
                pass
        if server not in self._without:
            try:
                return await self._scan(server, Session(await connections.connect(server)), message)
            except NoSessions:
                self._without.add(server)
        return await self._scan(server, Session(await connections.connect(server), alone=True), message)

    def close(self) -> None:
        """Close them all."""
        if self._look is not None:
            self._look.cancel()
            self._look = None
        for some in self._free.values():
            for session in some:
                session.close()
        self._free = {}

    async def _scan(self, server: ServerAddress, session: Session, message: Source) -> str:
        try:
            return await session.instream(message)
        finally:
            if session.lasts:
                self._free.setdefault(server, []).append(session)
                if self._look is None:
                    self._look = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._close_idle)
            else:
                session.close()

    def _kept(self, server: ServerAddress) -> Session | None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self.close()
            self._loop = loop
        some = self._free.get(server)
        # The one that was used last: when there is less to do the others are closed after a while.
        return some.pop() if some else None

    def _close_idle(self) -> None:
        self._look = None
        since = time.monotonic() - IDLE_SECONDS
        for server, some in list(self._free.items()):
            for session in some:
                if session.used <= since:
                    session.close()
            self._free[server] = [session for session in some if session.used > since]
        if any(self._free.values()) and self._loop is not None:
            self._look = self._loop.call_later(IDLE_SECONDS, self._close_idle)


def understand(text: str) -> str:
    """The signature in a reply such as `stream: Win.Test FOUND`, or "". Raises EngineFailed for anything else."""
    text = text.removeprefix("stream:").strip()
    if text == "OK":
        return ""
    if text.endswith(" FOUND"):
        return storable(text.removesuffix(" FOUND").strip(), 200) or "unnamed"
    raise EngineFailed(f"it answered {text[:200]!r}")
