"""A scanner and a spam engine that answer after so many milliseconds, and do nothing else: what waiting costs.

python -m bench.engines CLAMD_PORT SPAMD_PORT MILLISECONDS
"""

from __future__ import annotations

import asyncio
import struct
import sys


async def _clamd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    await reader.readuntil(b"\0")
    while size := struct.unpack("!L", await reader.readexactly(4))[0]:
        await reader.readexactly(size)
    await asyncio.sleep(seconds)
    writer.write(b"stream: OK\0")
    await _close(writer)


async def _spamd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    await reader.read()
    await asyncio.sleep(seconds)
    writer.write(b"SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\nSpam: False ; 0.0 / 5.0\r\n\r\n")
    await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    await writer.drain()
    writer.close()


async def _serve(clamd_port: int, spamd_port: int, seconds: float) -> None:
    clamd = await asyncio.start_server(lambda r, w: _clamd(r, w, seconds), "127.0.0.1", clamd_port, backlog=1000)
    spamd = await asyncio.start_server(lambda r, w: _spamd(r, w, seconds), "127.0.0.1", spamd_port, backlog=1000)
    async with clamd, spamd:
        await asyncio.gather(clamd.serve_forever(), spamd.serve_forever())


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000))
