"""Receivers of all kinds in one process: what a connection meets is said by the address that it leads to.

    python -m bench.destinations.hosts PORT FOLDER

`hosts.json` in the folder has a list of `Host`, and is read again at SIGHUP, for limits that have changed. What was
taken goes to `taken.txt`, a line each as tests.support.counting_sink has it, and what was counted of each host to
`counts.json`, five times a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from tests.support.counting_sink import Session

# What a host does:
TAKES: Final = "takes"
SILENT: Final = "silent"
TARPITS: Final = "tarpits"
# a byte a minute
DRIPS: Final = "drips"
# so long before each answer; then it takes mail
SLOW: Final = "is slow"
# an answer that has no end
RAMBLES: Final = "rambles"
HANGS_AT_TLS: Final = "hangs at STARTTLS"
# 421 after each message
SAYS_GOODBYE: Final = "says goodbye"
DROPS: Final = "drops"
GREYLISTS: Final = "greylists"
HANGS_AT_DATA: Final = "hangs at DATA"
HANGS_AFTER_IT: Final = "hangs after the message"
# no packet comes back
UNREACHABLE: Final = "unreachable"
# nobody listens: the kernel refuses
REFUSES: Final = "refuses"

WINDOW_SECONDS: Final = 60.0
DRIP_SECONDS: Final = {TARPITS: 1.0, DRIPS: 60.0}
SLOW_SECONDS: Final = 3.0
RAMBLE_SECONDS: Final = 0.01
COUNT_SECONDS: Final = 0.2
_GOODBYE: Final = b"421 4.4.2 too many messages in this connection\r\n"
_GREY: Final = b"451 4.7.1 greylisted, please try again in 300 seconds\r\n"
_TOO_FAST: Final = b"421 4.7.28 unusual rate of mail from your address, temporarily rate limited\r\n"


@dataclass(slots=True)
class Host:
    """One receiver. `limit` is how many messages it takes in any minute; 0 is no limit."""

    name: str
    does: str
    addresses: list[str]
    limit: int = 0


@dataclass(slots=True)
class Counts:
    """Connections that are open, the most that were at once, and all so far; messages taken, and refusals."""

    open: int = 0
    most: int = 0
    opened: int = 0
    taken: int = 0
    refused: int = 0


@dataclass(slots=True)
class Receiver:
    """A host at work."""

    host: Host
    counts: Counts = field(default_factory=Counts)
    recent: deque[float] = field(default_factory=deque)

    def is_full(self) -> bool:
        """Whether it took all that it takes in a minute."""
        now = time.monotonic()
        while self.recent and self.recent[0] <= now - WINDOW_SECONDS:
            self.recent.popleft()
        return 0 < self.host.limit <= len(self.recent)


class Guest(Session):
    """One connection to a receiver."""

    def __init__(self, receiver: Receiver, record: int) -> None:
        super().__init__(record, None)
        self._receiver = receiver
        self._is_mute = receiver.host.does == SILENT
        self._says_goodbye = False
        self._has_taken = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        counts = self._receiver.counts
        counts.open += 1
        counts.opened += 1
        counts.most = max(counts.most, counts.open)
        does = self._receiver.host.does
        if does == DROPS:
            cast(asyncio.Transport, transport).close()
        elif not self._is_mute:
            super().connection_made(_slowed(transport, does))

    def connection_lost(self, exc: Exception | None) -> None:
        self._receiver.counts.open -= 1

    def data_received(self, data: bytes) -> None:
        if self._is_mute or self._says_goodbye:
            return
        super().data_received(data)
        if self._says_goodbye:
            self._transport.close()

    def _reply_to(self, line: bytes) -> bytes:
        if self._is_mute or self._says_goodbye:
            return b""
        verb, does = line[:4].upper(), self._receiver.host.does
        if verb == b"EHLO" and does == RAMBLES:
            self._is_mute = True
            self._ramble()
            return b""
        if verb == b"EHLO" and does == HANGS_AT_TLS:
            return b"250-sink.test\r\n250 STARTTLS\r\n"
        if verb == b"STAR" and does == HANGS_AT_TLS:
            self._is_mute = True
            return b"220 2.0.0 go on\r\n"
        if verb == b"MAIL" and does == SAYS_GOODBYE and self._has_taken:
            self._receiver.counts.refused += 1
            self._says_goodbye = True
            return _GOODBYE
        if verb == b"MAIL" and self._receiver.is_full():
            self._receiver.counts.refused += 1
            self._says_goodbye = True
            return _TOO_FAST
        if verb == b"RCPT" and does == GREYLISTS:
            self._receiver.counts.refused += 1
            return _GREY
        if verb == b"DATA" and does == HANGS_AT_DATA:
            self._is_mute = True
            return b""
        return super()._reply_to(line)

    def _end_of_message(self, content: bytes) -> bytes:
        if self._receiver.host.does == HANGS_AFTER_IT:
            self._is_mute = True
            return b""
        self._receiver.counts.taken += 1
        self._has_taken = True
        if self._receiver.host.limit:
            self._receiver.recent.append(time.monotonic())
        return super()._end_of_message(content)

    def _ramble(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"250-and another thing\r\n" * 10)
            asyncio.get_running_loop().call_later(RAMBLE_SECONDS, self._ramble)


def _slowed(transport: asyncio.BaseTransport, does: str) -> asyncio.BaseTransport:
    if does in DRIP_SECONDS:
        return _Drip(transport, DRIP_SECONDS[does])
    return _Late(transport) if does == SLOW else transport


class _Late(asyncio.Transport):
    """A transport that sends everything SLOW_SECONDS later."""

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        super().__init__()
        self._transport = cast(asyncio.Transport, transport)

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        asyncio.get_running_loop().call_later(SLOW_SECONDS, self._transport.write, data)

    def close(self) -> None:
        asyncio.get_running_loop().call_later(SLOW_SECONDS, self._transport.close)

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class _Drip(asyncio.Transport):
    """A transport that sends a byte at a time."""

    def __init__(self, transport: asyncio.BaseTransport, seconds: float) -> None:
        super().__init__()
        self._transport = cast(asyncio.Transport, transport)
        self._seconds = seconds
        self._left = bytearray()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        is_idle = not self._left
        self._left += data
        if is_idle:
            self._next()

    def close(self) -> None:
        self._transport.close()

    def _next(self) -> None:
        if self._left and not self._transport.is_closing():
            self._transport.write(bytes(self._left[:1]))
            del self._left[:1]
            asyncio.get_running_loop().call_later(self._seconds, self._next)


def read(folder: Path) -> list[Host]:
    return [Host(**found) for found in json.loads((folder / "hosts.json").read_text())]


def write(folder: Path, hosts: list[Host]) -> None:
    _replace(folder / "hosts.json", json.dumps([asdict(host) for host in hosts]))


def counts(folder: Path) -> dict[str, Counts]:
    """By the names of the hosts."""
    return {name: Counts(**found) for name, found in json.loads((folder / "counts.json").read_text()).items()}


def _replace(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.rename(path)


async def serve(port: int, folder: Path) -> None:
    """Play all of them until SIGTERM."""
    loop = asyncio.get_running_loop()
    record = os.open(folder / "taken.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    receivers = {host.name: Receiver(host) for host in read(folder)}
    kept: list[socket.socket] = []
    for receiver in receivers.values():
        for address in receiver.host.addresses:
            if receiver.host.does == UNREACHABLE:
                kept += _deaf(address, port)
            elif receiver.host.does != REFUSES:
                await loop.create_server(_guests(receiver, record), address, port, backlog=1024)

    def look_again() -> None:
        for host in read(folder):
            receivers[host.name].host.limit = host.limit

    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGHUP, look_again)
    while not stop.is_set():
        _replace(folder / "counts.json", json.dumps({name: asdict(found.counts) for name, found in receivers.items()}))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), COUNT_SECONDS)


def _guests(receiver: Receiver, record: int) -> Callable[[], Guest]:
    return lambda: Guest(receiver, record)


def _deaf(address: str, port: int) -> list[socket.socket]:
    """A listener whose queue is full: the kernel drops whoever knocks, as if there were no such host."""
    listening = socket.create_server((address, port), backlog=0)
    knocking = []
    for _ in range(2):
        knocking.append(socket.socket())
        knocking[-1].setblocking(False)
        knocking[-1].connect_ex((address, port))
    return [listening, *knocking]


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
