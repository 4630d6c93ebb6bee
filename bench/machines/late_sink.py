"""A sink that is far away: each of its answers takes a while. What it took it writes down as the counting sink does.

python -m bench.machines.late_sink PORT RECORD MILLISECONDS
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import cast

from tests.support.counting_sink import Session, serve
from tests.support.daemon import Daemon
from tests.support.mailspool_process import PROJECT
from tests.support.sink import CountingSink


class LateSink(CountingSink):
    """In a process of its own, as its base. It listens on all addresses of loopback."""

    def __init__(self, folder: Path, late_ms: int) -> None:
        super().__init__(folder)
        command = [sys.executable, __file__, str(self.port), str(self.record), str(late_ms)]
        env = {**os.environ, "PYTHONPATH": str(PROJECT)}
        self.daemon = Daemon("late-sink", command, folder / "late-sink.log", env=env, cwd=PROJECT)


class _Far:
    """A transport whose bytes are under way for a while."""

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        self._transport, self._seconds = transport, seconds

    def write(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(self._seconds, self._arrive, data)

    def close(self) -> None:
        asyncio.get_running_loop().call_later(self._seconds, self._transport.close)

    def _arrive(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


class _LateSession(Session):
    def __init__(self, record: int, seconds: float) -> None:
        super().__init__(record, None)
        self._seconds = seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        far = _Far(cast(asyncio.Transport, transport), self._seconds)
        # It asks for no more of a transport than this one has.
        self._transport = cast(asyncio.Transport, far)
        far.write(b"220 sink.test ESMTP\r\n")


if __name__ == "__main__":
    late = int(sys.argv[3]) / 1000
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]), lambda record: _LateSession(record, late), "0.0.0.0"))
