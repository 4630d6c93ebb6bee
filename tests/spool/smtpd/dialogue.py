"""A client that says exactly what a test tells it to, byte by byte, and judges the form of each answer."""

from __future__ import annotations

import base64
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3} \S")


class Reply:
    """One reply of the server, its lines without their codes."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        lines = raw.decode().split("\r\n")[:-1]
        self.code = int(lines[-1][:3])
        self.lines = [line[4:] for line in lines]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def status(self) -> str:
        """The code and the enhanced code, as `550 5.1.1`."""
        return f"{self.code} {self.lines[0].split()[0]}"

    def __repr__(self) -> str:
        return repr(self.raw)


class Dialogue:
    """A connection that has been greeted, unless `greet` is false."""

    def __init__(
        self, port: int, *, tls: bool = False, greet: bool = True, source: str = "127.0.0.1", seconds: float = 60
    ) -> None:
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port), seconds, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""
        if tls:
            self.wrap()
        self.greeting = self.reply(enhanced=False)
        if greet:
            self.ehlo()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.socket.close()

    def send(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def reply(self, *, enhanced: bool = True) -> Reply:
        """The next reply. Raises EOFError when the server has closed; asserts RFC 2034's enhanced code."""
        raw = b""
        while True:
            line, end, rest = self._unread.partition(b"\n")
            if not end:
                more = self.socket.recv(65536)
                if not more:
                    raise EOFError(raw + self._unread)
                self._unread += more
                continue
            self._unread = rest
            raw += line + end
            assert raw.endswith(b"\r\n"), raw
            if line[3:4] == b" ":
                break
        reply = Reply(raw)
        if enhanced and reply.code // 100 != 3:
            for text in reply.lines:
                assert ENHANCED.match(text), f"no enhanced status code: {raw!r}"
                assert text[0] == str(reply.code)[0], f"the codes contradict each other: {raw!r}"
        return reply

    def do(self, command: str, *, enhanced: bool = True) -> Reply:
        """Send one command, return its reply."""
        self.send(command.encode() + b"\r\n")
        return self.reply(enhanced=enhanced)

    def ehlo(self, name: str = "client.test") -> Reply:
        return self.do(f"EHLO {name}", enhanced=False)

    @property
    def is_closed(self) -> bool:
        """Whether the server has closed; waits for it."""
        try:
            self.reply()
        except (EOFError, ConnectionError):
            return True
        return False

    def wrap(self) -> None:
        context = ssl._create_unverified_context()
        self.socket = context.wrap_socket(self.socket, server_hostname="mail.test")

    def starttls(self) -> None:
        assert self.do("STARTTLS").status == "220 2.0.0"
        self.wrap()
        self.ehlo()

    def login(self, username: str, password: str) -> Reply:
        return self.do(f"AUTH PLAIN {b64(f'{chr(0)}{username}{chr(0)}{password}')}")

    def begin(self, sender: str, *recipients: str) -> None:
        """MAIL and RCPT, which must be accepted."""
        assert self.do(f"MAIL FROM:<{sender}>").code == 250
        for recipient in recipients:
            reply = self.do(f"RCPT TO:<{recipient}>")
            assert reply.code == 250, reply

    def content(self, message: bytes) -> Reply:
        """DATA with a message whose lines end with CRLF; the reply to its end."""
        assert self.do("DATA").code == 354
        self.send(stuffed(message))
        return self.reply()


def stuffed(message: bytes) -> bytes:
    """With dots doubled, and the end."""
    dotted = b"." + message if message.startswith(b".") else message
    return dotted.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@contextmanager
def submission(port: int, username: str, password: str) -> Iterator[Dialogue]:
    """A session that is under TLS and logged in."""
    with Dialogue(port) as client:
        client.starttls()
        assert client.login(username, password).status == "235 2.7.0"
        yield client
