"""A mail host that says what a test tells it to say, and remembers what it heard: SMTP or LMTP over real sockets.

    with SmtpPeer() as peer:
        peer.on["MAIL"] = "451 4.3.0 not now"
        peer.rcpt["bob@example.net"] = "550 5.1.1 no such user"
        peer.on["END"] = CUT

A stage (CONNECT, EHLO, HELO, STARTTLS, AUTH, MAIL, RCPT, DATA, END, RSET, QUIT) has a reply, bytes to be sent as they
are, an Action, or a list of those of which the last repeats. END by LMTP is asked once for each recipient; BODY, which
has none unless a test gives it one, comes after the 354, before anything is read.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Self

_PATH = re.compile(rb"(?i)(?:MAIL FROM|RCPT TO):<([^>]*)>")


class Action(Enum):
    """What else a host may do instead of answering."""

    CUT = "close the connection"
    HANG = "say nothing for as long as the test lasts"
    DRIP = "begin a line and never end it, a character at a time"
    POUR = "send line after line of a reply that goes on, slowly"


CUT, HANG, DRIP, POUR = Action.CUT, Action.HANG, Action.DRIP, Action.POUR
Answer = str | bytes | Action
DEFAULTS: dict[str, Answer] = {
    "CONNECT": "220 peer.test ESMTP",
    "HELO": "250 peer.test",
    "STARTTLS": "220 2.0.0 go ahead",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go on",
    "END": "250 2.0.0 taken",
    "RSET": "250 2.0.0 ok",
    "NOOP": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
}


@dataclass(frozen=True)
class Taken:
    """A message that was answered 250 for somebody. `content` is unstuffed."""

    mail: str
    recipients: tuple[str, ...]
    content: bytes
    conversation: int
    encrypted: bool


@dataclass
class Conversation:
    """One connection: the commands as they came, and from where."""

    client: str
    commands: list[str] = field(default_factory=list)
    encrypted: bool = False
    login: list[str] = field(default_factory=list)


class _Ended(Exception):
    pass


class SmtpPeer:
    """One listening host. Leaving the context closes every connection."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        lmtp: bool = False,
        path: Path | None = None,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
    ) -> None:
        self.lmtp = lmtp
        self.tls = tls
        self.implicit_tls = implicit_tls
        self.features = ["PIPELINING", "8BITMIME", "SIZE 52428800", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"]
        self.on: dict[str, Answer | list[Answer]] = {}
        self.rcpt: dict[str, Answer] = {}
        self.passwords: dict[str, str] = {}
        self.most_recipients = 1_000_000
        self.too_many = "452 4.5.3 too many recipients"
        # What it does at the second recipient that is too many.
        self.hangs_up: Answer | None = None
        self.delay_seconds = 0.0
        self.conversations: list[Conversation] = []
        self.taken: list[Taken] = []
        self.open_now = 0
        self.most_open = 0
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._sockets: list[socket.socket] = []
        if path is not None:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listener = socket.socket(family)
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((host, port))
        self._listener.listen(200)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def commands(self) -> list[str]:
        """All commands of all conversations."""
        return [command for conversation in self.conversations for command in conversation.commands]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ending.set()
        for one in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, client = self._listener.accept()
            except OSError:
                return
            self._sockets.append(connection)
            conversation = Conversation(client[0] if client else "")
            self.conversations.append(conversation)
            number = len(self.conversations) - 1
            threading.Thread(target=self._converse, args=(connection, conversation, number), daemon=True).start()

    def _converse(self, connection: socket.socket, conversation: Conversation, number: int) -> None:
        with self._lock:
            self.open_now += 1
            self.most_open = max(self.most_open, self.open_now)
        talk = _Talk(self, connection, conversation, number)
        try:
            talk.run()
        except (_Ended, OSError):
            pass
        finally:
            self.ends(talk)
            talk.close()

    def ends(self, talk: _Talk) -> None:
        """It counts no more among those that are open: before its client hears of it, and can open another one."""
        with self._lock:
            self.open_now -= not talk.has_ended
            talk.has_ended = True

    def next_answer(self, stage: str) -> Answer:
        with self._lock:
            answer = self.on.get(stage, DEFAULTS.get(stage, "502 5.5.1 what?"))
            if isinstance(answer, list):
                return answer.pop(0) if len(answer) > 1 else answer[0]
            return answer

    def say_goodbye(self, text: bytes) -> None:
        """Send `text` unasked on every open connection, and close it."""
        for one in self._sockets:
            with contextlib.suppress(OSError):
                if text:
                    one.sendall(text)
                one.shutdown(socket.SHUT_RDWR)

    def wait_until_it_ends(self) -> None:
        self._ending.wait(60)


class _Talk:
    """The host's side of one connection."""

    def __init__(self, peer: SmtpPeer, connection: socket.socket, conversation: Conversation, number: int) -> None:
        self._peer = peer
        self._socket = connection
        self._conversation = conversation
        self._number = number
        self._file = connection.makefile("rb")
        self._mail = ""
        self._recipients: list[str] = []
        self.has_ended = False

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def run(self) -> None:
        if self._peer.implicit_tls:
            self._encrypt()
        self._give("CONNECT")
        while True:
            line = self._line()
            self._conversation.commands.append(line.decode("utf-8", "replace"))
            verb = line.split(b" ")[0].split(b":")[0].upper().decode("ascii", "replace")
            if verb in ("EHLO", "LHLO"):
                self._hello()
            elif verb == "STARTTLS":
                if self._give("STARTTLS").startswith("220"):
                    self._encrypt()
            elif verb == "AUTH":
                self._log_in(line)
            elif verb == "MAIL":
                self._recipients = []
                taken = self._give("MAIL").startswith("250")
                self._mail = line.decode("utf-8", "replace") if taken else ""
            elif verb == "RCPT":
                self._take_recipient(line)
            elif verb == "DATA":
                refused = not self._recipients and "DATA" not in self._peer.on
                if self._give("DATA", "554 5.5.1 no valid recipients" if refused else None).startswith("354"):
                    self._take_message()
            else:
                if verb == "QUIT":
                    self._peer.ends(self)
                self._give(verb)
                if verb == "QUIT":
                    return

    def _give(self, stage: str, answer: Answer | None = None) -> str:
        """Send the stage's answer; returns it."""
        answer = self._peer.next_answer(stage) if answer is None else answer
        if answer is CUT:
            raise _Ended
        if answer is HANG:
            self._peer.wait_until_it_ends()
            raise _Ended
        if answer in (DRIP, POUR):
            while True:
                self._socket.sendall(b"2" if answer is DRIP else b"220-and more\r\n")
                time.sleep(0.05)
        assert isinstance(answer, str | bytes)
        if self._peer.delay_seconds:
            time.sleep(self._peer.delay_seconds)
        data = answer if isinstance(answer, bytes) else answer.encode() + b"\r\n"
        if data.startswith(b"421"):
            self._peer.ends(self)
        self._socket.sendall(data)
        text = answer if isinstance(answer, str) else answer.decode("latin-1")
        if text.startswith("421"):
            raise _Ended
        return text

    def _hello(self) -> None:
        if "EHLO" in self._peer.on:
            self._give("EHLO")
            return
        features = list(self._peer.features)
        if self._peer.tls is not None and not self._conversation.encrypted:
            features.append("STARTTLS")
        lines = ["peer.test", *features]
        marks = ["-"] * (len(lines) - 1) + [" "]
        self._give("EHLO", "\r\n".join(f"250{mark}{line}" for mark, line in zip(marks, lines, strict=True)))

    def _encrypt(self) -> None:
        assert self._peer.tls is not None
        self._socket = self._peer.tls.wrap_socket(self._socket, server_side=True)
        self._peer._sockets.append(self._socket)
        self._file = self._socket.makefile("rb")
        self._conversation.encrypted = True

    def _log_in(self, line: bytes) -> None:
        words = line.decode().split(" ")
        if words[1].upper() == "PLAIN":
            self._conversation.login.append("PLAIN")
            _, user, password = _decoded(words[2]).split("\0")
        else:
            self._conversation.login.append("LOGIN")
            self._give("AUTH", "334 VXNlcm5hbWU6")
            user = _decoded(self._line().decode())
            self._give("AUTH", "334 UGFzc3dvcmQ6")
            password = _decoded(self._line().decode())
        right = self._peer.passwords.get(user) == password
        self._give("AUTH", "235 2.7.0 welcome" if right else "535 5.7.8 wrong")

    def _take_recipient(self, line: bytes) -> None:
        found = _PATH.match(line)
        address = found[1].decode() if found else "?"
        answer: Answer | None = self._peer.rcpt.get(address)
        if not self._mail:
            answer = "503 5.5.1 MAIL first"
        if len(self._recipients) >= self._peer.most_recipients:
            answer = self._peer.too_many
            if self._peer.hangs_up is not None:
                self._give("RCPT", answer)
                answer = self._peer.hangs_up
        if self._give("RCPT", answer).startswith("250"):
            self._recipients.append(address)

    def _take_message(self) -> None:
        if "BODY" in self._peer.on:
            self._give("BODY")
        content = bytearray()
        while (line := self._line(keep_end=True)) != b".\r\n":
            content += line[1:] if line.startswith(b".") else line
        everybody = [[one] for one in self._recipients] if self._peer.lmtp else [self._recipients]
        for recipients in everybody:
            answer = self._peer.next_answer("END")
            if isinstance(answer, str) and answer.startswith("250") and recipients:
                # Before the reply: once the client has it, the test may look.
                self._peer.taken.append(
                    Taken(self._mail, tuple(recipients), bytes(content), self._number, self._conversation.encrypted)
                )
            self._give("END", answer)

    def _line(self, *, keep_end: bool = False) -> bytes:
        line: bytes = self._file.readline()
        if not line.endswith(b"\n"):
            raise _Ended
        return line if keep_end else line.rstrip(b"\r\n")


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
