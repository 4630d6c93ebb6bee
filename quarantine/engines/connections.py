"""Connections to engines, as cheap as asyncio has them.

Bare sockets, not streams: of a message that is looked at by two engines, streams would take most of the time.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final

from quarantine.models.addresses import ServerAddress

CONNECT_SECONDS: Final = 5.0
_PIECE_BYTES: Final = 64 * 1024


class Line:
    """One connection. Its methods raise OSError."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        self._socket.close()

    async def send(self, content: bytes) -> None:
        await self._loop.sock_sendall(self._socket, content)

    def end(self) -> None:
        """Tell the other end that nothing follows."""
        # One that has answered already may have closed.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    async def all(self, most_bytes: int) -> bytes:
        """What comes until it closes, and not much more than so many bytes."""
        reply = b""
        while len(reply) < most_bytes and (piece := await self._loop.sock_recv(self._socket, _PIECE_BYTES)):
            reply += piece
        return reply

    async def until(self, end: bytes, most_bytes: int) -> bytes:
        """What comes up to `end`, that included. Raises IncompleteReadError when it closes before, and
        LimitOverrunError when it is more than so many bytes."""
        reply = b""
        while end not in reply:
            if len(reply) > most_bytes:
                raise asyncio.LimitOverrunError("too long", len(reply))
            piece = await self._loop.sock_recv(self._socket, _PIECE_BYTES)
            if not piece:
                raise asyncio.IncompleteReadError(reply, None)
            reply += piece
        return reply[: reply.index(end) + len(end)]


@asynccontextmanager
async def connected(server: ServerAddress) -> AsyncIterator[Line]:
    """A connection to a server, closed at the end. Raises OSError and TimeoutError."""
    line = await connect(server)
    try:
        yield line
    finally:
        line.close()


async def connect(server: ServerAddress) -> Line:
    """A connection to a server. Raises OSError and TimeoutError."""
    async with asyncio.timeout(CONNECT_SECONDS):
        return Line(await _open(server))


async def exchange(server: ServerAddress, head: bytes, content: bytes, most_bytes: int, *, ends: bool = False) -> bytes:
    """What a server says to one question until it closes; `ends`: it is told when the question is whole.

    Raises OSError and TimeoutError.
    """
    async with connected(server) as line:
        await line.send(head + content)
        if ends:
            line.end()
        return await line.all(most_bytes)


async def _open(server: ServerAddress) -> socket.socket:
    if server.path:
        return await _connect(socket.AF_UNIX, server.path)
    family = _family_of(server.host)
    if family is None:
        return await _open_by_name(server)
    return await _connect(family, (server.host, server.port))


@lru_cache(100)
def _family_of(host: str) -> socket.AddressFamily | None:
    """None for a name."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return socket.AF_INET if version == 4 else socket.AF_INET6


async def _open_by_name(server: ServerAddress) -> socket.socket:
    """At the first of its addresses that answers."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    failure: OSError | None = None
    for family, _, _, _, address in found:
        try:
            return await _connect(family, address)
        except OSError as error:
            failure = error
    raise failure or OSError(f"{server.host} has no address")


async def _connect(family: int, address: str | tuple[object, ...]) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if family != socket.AF_UNIX:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not _is_connected_at_once(opened, address):
            await asyncio.get_running_loop().sock_connect(opened, address)
    except BaseException:
        opened.close()
        raise
    return opened


def _is_connected_at_once(opened: socket.socket, address: str | tuple[object, ...]) -> bool:
    """Begin to connect; False when the loop has to wait for it. Raises OSError.

    An engine on this machine is connected to by the time that this is asked for again; to have the loop find that out
    takes longer than the connecting.
    """
    for _ in range(2):
        code = opened.connect_ex(address)
        if code in (0, errno.EISCONN):
            return True
        if code not in (errno.EINPROGRESS, errno.EALREADY, errno.EAGAIN):
            raise OSError(code, os.strerror(code))
    return False
