"""The text of an MTA-STS policy by HTTPS (RFC 8461 3.3): a valid certificate, no redirects, bounds of size and time.

Whoever owns a domain decides how its web server behaves. One that drips costs its own domain's mail FETCH_SECONDS, and
nobody else anything: there is room for many at once, one address has a part of it only, and who has had a fair time
gives way as soon as others wait.
"""

from __future__ import annotations

import asyncio
import http.client
import io
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from base.facts import FactError, fact, verbatim
from spool.delivery.remote.tls_policy import context_for
from spool.models.route import TLSPolicy
from spool.sockets.addresses import counted_as

LARGEST_POLICY_BYTES: Final = 64 * 1024
LARGEST_HEAD_BYTES: Final = 16 * 1024
# From the question to the last byte, waiting in line included.
FETCH_SECONDS: Final = 15.0
# By then a web server that means well has answered several times over.
FAIR_SECONDS: Final = 3.0
LOOK_SECONDS: Final = 0.25
MOST_AT_ONCE: Final = 100
MOST_PER_ADDRESS: Final = 10
PATH: Final = "/.well-known/mta-sts.txt"


class NotFetched(FactError):
    """There is no policy to be had there; the message says why."""


@dataclass
class _Line:
    """Who is at it and who waits, in one event loop. Loop thread only."""

    loop: asyncio.AbstractEventLoop
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ONCE))
    of_address: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    # By address, all that are here; and those who wait for a place, "" for one of all.
    here: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)
    # Who gives way for somebody that has not taken the place yet.
    giving_way: int = 0

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """A place of the address, then one of all: what waits for its own address takes none from others."""
        own = self.of_address.setdefault(address, asyncio.Semaphore(MOST_PER_ADDRESS))
        self.here[address] += 1
        try:
            async with self._place(own, address), self._place(self.places, ""):
                yield
        finally:
            self.here[address] -= 1
            if not self.here[address]:
                del self.here[address], self.of_address[address]

    @asynccontextmanager
    async def _place(self, places: asyncio.Semaphore, name: str) -> AsyncIterator[None]:
        had_to_wait = places.locked()
        self.waiting[name] += 1
        try:
            await places.acquire()
        finally:
            self.waiting[name] -= 1
            if had_to_wait:
                self.giving_way = max(0, self.giving_way - 1)
        try:
            yield
        finally:
            places.release()

    def gives_way(self, address: str) -> bool:
        """Whether a fetch from this address is to leave its place to who waits for it: one for each of those."""
        if self.waiting[address] + self.waiting[""] <= self.giving_way:
            return False
        self.giving_way += 1
        return True


_line: _Line | None = None


async def fetch(host: str, ip: str, port: int) -> str:
    """The policy's text from one address of its web server, within FETCH_SECONDS. Raises NotFetched."""
    try:
        async with asyncio.timeout(FETCH_SECONDS), _this_line().turn(address := counted_as(ip)):
            return await _fairly(host, ip, port, address)
    except TimeoutError as error:
        raise NotFetched(fact("no whole answer within %(seconds)s s", seconds=f"{FETCH_SECONDS:g}")) from error
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, http.client.HTTPException) as error:
        raise NotFetched(fact("its web server's answer makes no sense")) from error
    except (OSError, ValueError) as error:
        raise NotFetched(verbatim(getattr(error, "strerror", "") or str(error))) from error


def _this_line() -> _Line:
    # A pass has a loop of its own, and a semaphore belongs to the loop that first waited for it.
    global _line
    loop = asyncio.get_running_loop()
    if _line is None or _line.loop is not loop:
        _line = _Line(loop)
    return _line


async def _fairly(host: str, ip: str, port: int, address: str) -> str:
    task = asyncio.ensure_future(_get(host, ip, port))
    try:
        done, _ = await asyncio.wait({task}, timeout=FAIR_SECONDS)
        while not done:
            if _this_line().gives_way(address):
                raise NotFetched(
                    fact(
                        "no whole answer within %(seconds)s s, and others wait for their turn",
                        seconds=round(FAIR_SECONDS),
                    )
                )
            done, _ = await asyncio.wait({task}, timeout=LOOK_SECONDS)
        return task.result()
    finally:
        task.cancel()


async def _get(host: str, ip: str, port: int) -> str:
    reader, writer = await asyncio.open_connection(
        ip, port, ssl=context_for(TLSPolicy.VERIFY), server_hostname=host, limit=LARGEST_HEAD_BYTES
    )
    try:
        named = host if port == http.client.HTTPS_PORT else f"{host}:{port}"
        writer.write(
            f"GET {PATH} HTTP/1.1\r\nHost: {named}\r\nAccept: text/plain\r\nConnection: close\r\n\r\n".encode("ascii")
        )
        content = await _body(reader)
    finally:
        # Not closed in good manners: its owner could make that last as well.
        writer.transport.abort()
    return content.decode("utf-8", "replace")


async def _body(reader: asyncio.StreamReader) -> bytes:
    """The content of a good answer. Raises NotFetched, and what readers and http.client raise."""
    head = await reader.readuntil(b"\r\n\r\n")
    status, _, lines = head.partition(b"\r\n")
    words = status.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
        raise http.client.BadStatusLine(repr(status[:80]))
    if words[1] != b"200":
        raise NotFetched(fact("the server answered %(code)s", code=words[1][:20].decode("ascii", "replace")))
    fields = http.client.parse_headers(io.BytesIO(lines))
    if fields.get_content_type() != "text/plain":
        raise NotFetched(fact("it is %(kind)s, not text/plain", kind=fields.get_content_type()[:80]))
    if fields.get("Transfer-Encoding", "").lower().endswith("chunked"):
        return await _chunked(reader)
    if length := fields.get("Content-Length"):
        return await reader.readexactly(_bounded(int(length)))
    content = b""
    while piece := await reader.read(LARGEST_POLICY_BYTES):
        content += piece
        _bounded(len(content))
    return content


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    """RFC 9112 7.1."""
    content = b""
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        _bounded(len(content) + abs(size))
        content += await reader.readexactly(size)
        await reader.readexactly(2)
    return content


def _bounded(size_bytes: int) -> int:
    if not 0 <= size_bytes <= LARGEST_POLICY_BYTES:
        raise NotFetched(fact("it is larger than %(size)s bytes", size=LARGEST_POLICY_BYTES))
    return size_bytes
