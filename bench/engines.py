"""A scanner and a spam engine that answer after so many milliseconds, and do nothing else: what waiting costs.

They share the cores with what is measured, and so take as little of them as they can.

python -m bench.engines CLAMD_PORT SPAMD_PORT MILLISECONDS
"""

from __future__ import annotations

import asyncio
import functools
import sys


class _Engine(asyncio.Protocol):
    """One connection: the question, and after a while the answer."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def _asked(self) -> None:
        asyncio.get_running_loop().call_later(self._seconds, self._say)

    def _say(self) -> None:
        raise NotImplementedError


class _Clamd(_Engine):
    """clamd's INSTREAM in a session: chunks with their lengths, the last of length 0."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self._tail = b""
        self._scans = 0

    def data_received(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-4:]
        # The messages of benchmarks are text: nothing else in them looks like that.
        if self._tail == b"\0\0\0\0":
            self._tail = b""
            self._asked()

    def _say(self) -> None:
        self._scans += 1
        self._transport.write(b"%d: stream: OK\0" % self._scans)


class _Spamd(_Engine):
    """spamd: a question is whole when the other end says that nothing follows."""

    answer = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\nSpam: False ; 0.0 / 5.0\r\n\r\n"

    def eof_received(self) -> bool:
        self._asked()
        return True

    def _say(self) -> None:
        self._transport.write(self.answer)
        self._transport.close()


async def _serve(clamd_port: int, spamd_port: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    for kind, port in ((_Clamd, clamd_port), (_Spamd, spamd_port)):
        await loop.create_server(functools.partial(kind, seconds), "127.0.0.1", port, backlog=1000)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000))
