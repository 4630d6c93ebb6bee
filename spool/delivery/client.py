"""One SMTP or LMTP connection to a next hop, used for one transaction after another (RFC 5321, 2920, 2033, 3461)."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from spool.delivery.replies import BrokenReply, Reply, read_reply
from spool.delivery.tls_policy import context_for, verifies
from spool.dsn.xtext import encode
from spool.envelope import LeasedEntry, LeasedRecipient
from spool.models.route import TLSPolicy

# RFC 5321 4.5.3.2.6: the longest that the last dot may take.
DATA_END_SECONDS = 600.0
CHUNK_BYTES = 256 * 1024
GREETING_SECONDS = 60.0


class ConnectionFailed(Exception):
    """No usable connection to this host; another may do. `reply` is what it said, or what happened."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class TLSFailed(ConnectionFailed):
    """The handshake failed; the caller may try again without TLS if its policy allows that."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to connect to, and how. `path` is a unix socket; then the rest of the address is ignored."""

    name: str
    ip: str
    port: int
    tls: TLSPolicy = TLSPolicy.OPPORTUNISTIC
    path: str = ""
    lmtp: bool = False
    username: str = ""
    password: str = ""
    source_address: str = ""


class Connection:
    """An open connection. Any exception leaves it unusable."""

    def __init__(self, peer: Peer, own_name: str, reply_seconds: float) -> None:
        self.peer = peer
        self.tls = ""
        self.used = 0
        # Whether the message of the running transaction may have reached the other side.
        self.body_sent = False
        self._own_name = own_name
        self._reply_seconds = reply_seconds
        self._features: dict[str, str] = {}

    async def open(self, connect_seconds: float, *, allow_tls: bool = True) -> None:
        """Connect, greet, encrypt and log in as the peer's policy says. Raises ConnectionFailed."""
        peer = self.peer
        implicit = context_for(peer.tls) if peer.tls is TLSPolicy.IMPLICIT else None
        try:
            async with asyncio.timeout(connect_seconds):
                if peer.path:
                    self._reader, self._writer = await asyncio.open_unix_connection(peer.path)
                else:
                    self._reader, self._writer = await asyncio.open_connection(
                        peer.ip, peer.port, ssl=implicit, server_hostname=peer.name if implicit else None,
                        local_addr=(peer.source_address, 0) if peer.source_address else None,
                    )  # fmt: skip
        except (OSError, TimeoutError) as error:
            raise ConnectionFailed(f"connecting to {peer.name} [{peer.ip}]: {_why(error)}") from error
        try:
            await self._greet(allow_tls)
        except (OSError, TimeoutError, BrokenReply) as error:
            self.abort()
            raise ConnectionFailed(f"{peer.name} [{peer.ip}]: {_why(error)}") from error
        except ConnectionFailed:
            self.abort()
            raise

    async def _greet(self, allow_tls: bool) -> None:
        if (raw := self._writer.get_extra_info("socket")) is not None and raw.family != socket.AF_UNIX:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._must(await self._reply(min(GREETING_SECONDS, self._reply_seconds)), "the greeting")
        await self._hello()
        policy = self.peer.tls
        if policy is TLSPolicy.IMPLICIT:
            self._note_tls()
        elif policy is not TLSPolicy.NONE and not self.peer.path and allow_tls:
            if "STARTTLS" in self._features:
                await self._start_tls()
            elif policy is not TLSPolicy.OPPORTUNISTIC:
                raise ConnectionFailed(f"{self.peer.name} does not offer the encryption that is required")
        if self.peer.username:
            await self._log_in()

    async def _hello(self) -> None:
        reply = await self._ask("LHLO" if self.peer.lmtp else "EHLO", self._own_name)
        if reply.permanent and not self.peer.lmtp:
            reply = await self._ask("HELO", self._own_name)
            self._must(reply, "HELO")
            self._features = {}
            return
        self._must(reply, "EHLO")
        words = (line.partition(" ") for line in reply.lines[1:])
        self._features = {keyword.upper(): value.strip() for keyword, _, value in words}

    async def _start_tls(self) -> None:
        reply = await self._ask("STARTTLS")
        if reply.code != 220:
            if self.peer.tls is TLSPolicy.OPPORTUNISTIC:
                return
            raise ConnectionFailed(f"{self.peer.name} refused STARTTLS: {reply.text}", reply.code)
        if self._reader._buffer:  # type: ignore[attr-defined]
            # Bytes sent in clear after the 220 are an injection (RFC 3207 6).
            raise ConnectionFailed(f"{self.peer.name} sent more than its answer to STARTTLS")
        try:
            async with asyncio.timeout(self._reply_seconds):
                await self._writer.start_tls(context_for(self.peer.tls), server_hostname=self.peer.name)
        except (OSError, TimeoutError, ssl.SSLError) as error:
            raise TLSFailed(f"TLS with {self.peer.name} [{self.peer.ip}] failed: {_why(error)}") from error
        self._note_tls()
        await self._hello()

    def _note_tls(self) -> None:
        cipher = self._writer.get_extra_info("cipher") or ("", "", 0)
        checked = "verified" if verifies(self.peer.tls) else "unverified"
        self.tls = f"{cipher[1]} {cipher[0]} ({checked})"

    async def _log_in(self) -> None:
        if not self.tls:
            raise ConnectionFailed(f"{self.peer.name}: a password is not sent without encryption")
        token = base64.b64encode(f"\0{self.peer.username}\0{self.peer.password}".encode()).decode()
        reply = await self._ask("AUTH PLAIN", token)
        self._must(reply, "the login")

    def _must(self, reply: Reply, what: str) -> None:
        if reply.code // 100 != 2:
            raise ConnectionFailed(f"{self.peer.name} [{self.peer.ip}] answered {what}: {reply.text}", reply.code)

    async def _ask(self, *words: str) -> Reply:
        self._writer.write((" ".join(words) + "\r\n").encode())
        return await self._reply(self._reply_seconds)

    async def _reply(self, seconds: float) -> Reply:
        async with asyncio.timeout(seconds):
            return await read_reply(self._reader)

    def refuses(self, entry: LeasedEntry) -> Reply | None:
        """A reply in the host's place, when its own EHLO says that it can't take `entry`."""
        limit = self._features.get("SIZE", "")
        if limit.isdigit() and 0 < int(limit) < entry.size_bytes:
            return Reply(552, (f"5.3.4 the message is larger than the {limit} bytes that {self.peer.name} takes",))
        if entry.smtputf8 and "SMTPUTF8" not in self._features:
            needed = [entry.sender, *(recipient.address for recipient in entry.recipients)]
            if not all(address.isascii() for address in needed):
                return Reply(550, (f"5.6.7 {self.peer.name} does not support internationalised addresses",))
        return None

    @property
    def takes_dsn(self) -> bool:
        """Whether the host promises to send the notices that were asked for (RFC 3461)."""
        return "DSN" in self._features

    async def send(self, entry: LeasedEntry, recipients: Sequence[LeasedRecipient], content: bytes) -> list[Reply]:
        """One transaction: the reply that decides on each recipient, in order.

        Raises OSError, TimeoutError or BrokenReply; then nothing was certainly accepted.
        """
        self.used += 1
        self.body_sent = False
        commands = [self._mail(entry), *(self._rcpt(recipient) for recipient in recipients), b"DATA\r\n"]
        if "PIPELINING" in self._features:
            self._writer.write(b"".join(commands))
            replies = [await self._reply(self._reply_seconds) for _ in commands]
        else:
            replies = await self._one_by_one(commands)
        mail, answers, data = replies[0], replies[1:-1], replies[-1]
        if not mail.good:
            answers = [mail] * len(recipients)
        accepted = [reply.good for reply in answers]
        if data.code != 354:
            await self._ask("RSET")
            return [data if good else reply for good, reply in zip(accepted, answers, strict=True)]
        if not any(accepted):
            # The host wants a body although nobody is to get it (RFC 2920 3.1).
            await self._ask(".")
            return list(answers)
        self.body_sent = True
        await self._write_body(content)
        ends = [await self._reply(DATA_END_SECONDS) for _ in range(sum(accepted) if self.peer.lmtp else 1)]
        following = iter(ends)
        return [
            (next(following) if self.peer.lmtp else ends[0]) if good else reply
            for good, reply in zip(accepted, answers, strict=True)
        ]

    async def _one_by_one(self, commands: Sequence[bytes]) -> list[Reply]:
        """The commands for a host without pipelining: DATA only when somebody is to get the message."""
        replies: list[Reply] = []
        for command in commands:
            refused = replies and (not replies[0].good or not any(r.good for r in replies[1:]))
            if refused and (command == commands[-1] or not replies[0].good):
                replies.append(Reply(503, ("5.5.1 no valid recipients",)))
                continue
            self._writer.write(command)
            replies.append(await self._reply(self._reply_seconds))
        return replies

    async def _write_body(self, content: bytes) -> None:
        if content.startswith(b"."):
            content = b"." + content
        if b"\n." in content:
            content = content.replace(b"\r\n.", b"\r\n..")
        ending = b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"
        if len(content) <= CHUNK_BYTES:
            self._writer.write(content + ending)
            return
        for start in range(0, len(content), CHUNK_BYTES):
            self._writer.write(content[start : start + CHUNK_BYTES])
            async with asyncio.timeout(self._reply_seconds):
                await self._writer.drain()
        self._writer.write(ending)

    def _mail(self, entry: LeasedEntry) -> bytes:
        words = [f"MAIL FROM:<{entry.sender}>"]
        if "SIZE" in self._features:
            words.append(f"SIZE={entry.size_bytes}")
        if entry.eight_bit and "8BITMIME" in self._features:
            words.append("BODY=8BITMIME")
        if entry.smtputf8 and "SMTPUTF8" in self._features:
            words.append("SMTPUTF8")
        if "DSN" in self._features:
            words += [f"RET={entry.ret}"] if entry.ret else []
            words += [f"ENVID={entry.envid}"] if entry.envid else []
        return (" ".join(words) + "\r\n").encode()

    def _rcpt(self, recipient: LeasedRecipient) -> bytes:
        words = [f"RCPT TO:<{recipient.address}>"]
        if "DSN" in self._features:
            words += [f"NOTIFY={recipient.notify}"] if recipient.notify else []
            orcpt = recipient.orcpt or (
                f"rfc822;{encode(recipient.original)}" if recipient.original.isascii() and recipient.original else ""
            )
            words += [f"ORCPT={orcpt}"] if orcpt else []
        return (" ".join(words) + "\r\n").encode()

    async def quit(self) -> None:
        """Say goodbye; the answer is of no interest."""
        try:
            self._writer.write(b"QUIT\r\n")
            await self._reply(2.0)
        except (OSError, TimeoutError, BrokenReply):
            pass
        self.abort()

    def abort(self) -> None:
        """Close without a word."""
        self._writer.transport.abort()

    @property
    def closed(self) -> bool:
        """Whether the other side has gone while the connection was idle."""
        return self._writer.is_closing() or self._reader.at_eof()


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    return str(error) or type(error).__name__
