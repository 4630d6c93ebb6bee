"""ClamAV's clamd, by its command INSTREAM (clamd(8)): the message goes over the socket, clamd needs no access to files.

Memory stays at one chunk for each scan, whatever the message's size.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path

from quarantine.engines.answers import Answer, EngineFailed, Said
from quarantine.engines.connections import CONNECT_SECONDS, connected
from quarantine.engines.cooldown import Cooldown
from quarantine.engines.scanner import VirusScanner
from quarantine.engines.sessions import LONGEST_REPLY, Sessions
from quarantine.models.addresses import ServerAddress
from quarantine.models.antivirus import AntivirusSettings
from spool.message.held import Held, Source


class Clamd(VirusScanner):
    """All servers of the settings: they take turns, and one that fails is followed by the next."""

    name = "clamd"

    def __init__(self) -> None:
        self.rests = Cooldown()
        self._servers: tuple[ServerAddress, ...] = ()
        self._timeout_seconds = 60.0
        self._turns = itertools.count()
        self._most = 0
        self._sessions = Sessions()
        self._slots: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}

    def configure(self, settings: AntivirusSettings) -> bool:
        self._servers = settings.servers
        self._timeout_seconds = settings.clamd_timeout_seconds
        if settings.clamd_connections != self._most:
            self._most = settings.clamd_connections
            self._slots = {}
        return bool(self._servers)

    async def scan(self, path: Path, size_bytes: int) -> Answer:
        return await self._scan(path)

    async def scan_held(self, content: bytes, draft: Path) -> Answer:
        return await self._scan(Held(content))

    async def _scan(self, message: Source) -> Answer:
        servers = self._servers
        turn = next(self._turns)
        why = ""
        async with self._slot():
            for number in range(len(servers)):
                server = servers[(turn + number) % len(servers)]
                name = f"clamd {server}"
                if self.rests.resting(name):
                    why = why or f"{name} has not answered lately"
                    continue
                started = time.monotonic()
                try:
                    async with asyncio.timeout(self._timeout_seconds):
                        signature = await self._sessions.instream(server, message)
                except EngineFailed as error:
                    # It answers, but not about this message: others may.
                    why = why or f"{name}: {error}"
                    continue
                except FileNotFoundError:
                    if isinstance(message, Path) and not message.exists():
                        raise
                    why = why or self._fail(name, "there is no such socket")
                    continue
                except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                    why = why or self._fail(name, _words(error, self._timeout_seconds))
                    continue
                self.rests.answered(name)
                said = Said.INFECTED if signature else Said.CLEAN
                return Answer(self.name, said, signature, time.monotonic() - started)
        return Answer(self.name, Said.FAILED, why or "no server is configured")

    def wake(self) -> None:
        if all(self.rests.resting(f"clamd {server}") for server in self._servers):
            self.rests.wake()

    def close(self) -> None:
        self._sessions.close()

    def _fail(self, name: str, why: str) -> str:
        self.rests.failed(name, why)
        return f"{name}: {why}"

    def _slot(self) -> asyncio.Semaphore:
        # A pass has a loop of its own, and a semaphore belongs to the loop that first waited for it.
        loop = asyncio.get_running_loop()
        if loop not in self._slots:
            self._slots = {loop: asyncio.Semaphore(self._most or 1)}
        return self._slots[loop]


async def version(server: ServerAddress) -> str:
    """What clamd calls itself and its signatures. Raises OSError, TimeoutError and IncompleteReadError."""
    async with asyncio.timeout(CONNECT_SECONDS), connected(server) as line:
        await line.send(b"zVERSION\0")
        return (await line.until(b"\0", LONGEST_REPLY)).rstrip(b"\0").decode("utf-8", "replace")[:200]


def _words(error: BaseException, timeout_seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_seconds:g} s"
    if isinstance(error, asyncio.IncompleteReadError):
        return "it closed the connection without an answer"
    if isinstance(error, asyncio.LimitOverrunError):
        return "its answer makes no sense"
    return getattr(error, "strerror", "") or str(error) or type(error).__name__
