"""An SMTP server that takes everything, fast, and writes down exactly what it took.

One line for each message, written before its 250: nanoseconds since the epoch, X-Test-Id, reverse-path, and the
accepted forward-paths separated by spaces; the four are separated by tabs. The local part of a recipient may ask for
another reply: `550.ann@…` gets 550 at RCPT, and `data-451.ann@…` gets 451 after DATA.

    python -m tests.support.counting_sink PORT RECORD [FOLDER]

With FOLDER every message is kept there as `<X-Test-Id>.<number>.eml`.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

_TEST_ID = re.compile(rb"(?im)^x-test-id:[ \t]*(\S+)")
_PATH = re.compile(rb"(?i)(?:MAIL FROM|RCPT TO):\s*<([^>]*)>")
_EHLO = b"250-sink.test\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
_MOST_HEADER_BYTES = 65_536


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, record: int, folder: Path | None) -> None:
        self._record = record
        self._folder = folder
        self._unread = bytearray()
        self._scanned = 0
        self._in_data = False
        self._sender = b""
        self._recipients: list[bytes] = []
        self._final_reply = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink.test ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._unread += data
        replies = bytearray()
        while True:
            if self._in_data:
                end = self._unread.find(b"\r\n.\r\n", max(0, self._scanned - 4))
                if end < 0:
                    self._scanned = len(self._unread)
                    break
                replies += self._end_of_message(bytes(self._unread[: end + 2]))
                del self._unread[: end + 5]
            else:
                end = self._unread.find(b"\r\n")
                if end < 0:
                    break
                line = bytes(self._unread[:end])
                del self._unread[: end + 2]
                replies += self._reply_to(line)
        if replies:
            self._transport.write(bytes(replies))
        if replies.endswith(b"221 2.0.0 bye\r\n"):
            self._transport.close()

    def _reply_to(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb in (b"EHLO", b"LHLO"):
            return _EHLO
        if verb == b"MAIL":
            self._reset()
            found = _PATH.match(line)
            self._sender = found[1] if found else b"?"
            return b"250 2.1.0 ok\r\n"
        if verb == b"RCPT":
            return self._recipient(line)
        if verb == b"DATA":
            if not self._recipients:
                return b"554 5.5.1 no valid recipients\r\n"
            self._in_data, self._scanned = True, 0
            # A message may be empty: then its final dot comes first.
            self._unread[:0] = b"\r\n"
            return b"354 go on\r\n"
        if verb == b"QUIT":
            return b"221 2.0.0 bye\r\n"
        if verb == b"RSET":
            self._reset()
        return b"250 2.0.0 ok\r\n"

    def _recipient(self, line: bytes) -> bytes:
        found = _PATH.match(line)
        address = found[1] if found else b"?"
        code = address[:3]
        if address[3:4] == b"." and code.isdigit() and code[:1] in (b"4", b"5"):
            return b"%b %b.1.1 <%b> is not wanted\r\n" % (code, code[:1], address)
        if address.startswith(b"data-"):
            code = address[5:8]
            self._final_reply = b"%b %b.7.1 content is not wanted\r\n" % (code, code[:1])
        self._recipients.append(address)
        return b"250 2.1.5 ok\r\n"

    def _end_of_message(self, content: bytes) -> bytes:
        reply = self._final_reply
        if not reply:
            found = _TEST_ID.search(content, 0, _MOST_HEADER_BYTES)
            test_id = found[1] if found else b"-"
            now = time.time_ns()
            # Before the record: whoever reads that may look for it.
            if self._folder is not None:
                message = content[2:].replace(b"\r\n..", b"\r\n.")
                (self._folder / f"{test_id.decode()}.{now}.eml").write_bytes(message)
            # One write of one line: O_APPEND keeps lines whole.
            os.write(self._record, b"%d\t%b\t%b\t%b\n" % (now, test_id, self._sender, b" ".join(self._recipients)))
            reply = b"250 2.0.0 taken\r\n"
        self._in_data = False
        self._reset()
        return reply

    def _reset(self) -> None:
        self._sender, self._recipients, self._final_reply = b"", [], b""


async def serve(
    port: int, record: Path, session: Callable[[int], asyncio.Protocol], address: str = "127.0.0.1"
) -> None:
    """Take messages until SIGTERM, each client by a `session` with the descriptor of the record."""
    loop = asyncio.get_running_loop()
    descriptor = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    server = await loop.create_server(lambda: session(descriptor), address, port, backlog=1024)
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    to = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]), lambda record: Session(record, to)))
