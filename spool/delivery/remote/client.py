"""One SMTP or LMTP connection to a next hop, used for one transaction after another (RFC 5321, 2920, 2033, 3461)."""

from __future__ import annotations

import asyncio
import base64
import errno
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from spool.delivery.remote import body
from spool.delivery.remote.dane.certificates import Mismatch, check, presented_chain
from spool.delivery.remote.dane.records import Tlsa
from spool.delivery.remote.error_texts import in_words
from spool.delivery.remote.parameters import mail_command, needs_utf8, rcpt_command
from spool.delivery.remote.tls_policy import context_for, verifies
from spool.delivery.remote.tls_results import AskedPolicy, Result, result_of
from spool.delivery.replies import BrokenReply, Reply, read_reply
from spool.delivery.sources import is_here
from spool.message.encryption import Proof, text_of
from spool.message.envelope import LeasedEntry, LeasedRecipient
from spool.models.route import TLSPolicy
from spool.sockets.addresses import counted_as

# RFC 5321 4.5.3.2.6: the longest that the last dot may take.
DATA_END_SECONDS = 600.0
GREETING_SECONDS = 60.0
# REQUIRETLS support required (RFC 8689 7).
NO_REQUIRETLS = "5.7.30"
# A destination that is always busy must not keep to what its domain said long ago.
OLDEST_SECONDS = 300.0


class ConnectionFailed(Exception):
    """No usable connection to this host; another may do. `text` is what happened, `reply` what it said, if it did."""

    # What reports of TLS call it, where it is about that.
    tls_result = Result.GOOD

    def __init__(self, text: str, code: int = 0, reply: Reply | None = None, status_code: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.reply = reply
        # Of a host that works and never takes this mail: what it comes back with when no other host does.
        self.status_code = status_code


class SourceGone(ConnectionFailed):
    """The address that it was to come from is not on this machine."""


class TLSFailed(ConnectionFailed):
    """The handshake failed; the caller may try again without TLS if its policy allows that."""

    tls_result = Result.FAILED


class NoTLSOffered(ConnectionFailed):
    """The host does not offer the TLS that is required, or refuses it."""

    tls_result = Result.NO_STARTTLS


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
    # The receiver that it is a host of, among others (spool.delivery.remote.providers).
    site: str = ""
    # What its domain's DNS says of its certificate, if anything.
    tlsa: Tlsa | None = None
    by_mta_sts: bool = False
    # Whether it has to promise to keep the message on encrypted ways (RFC 8689).
    requires_tls: bool = False
    # So many messages go over one connection; 0: any number.
    most_messages: int = 0
    # Of its MX record: other hosts with the same one are as good.
    preference: int = field(default=0, compare=False)
    # What reports say that its domain asks for; None where its sessions are not counted.
    asked: AskedPolicy | None = field(default=None, compare=False)

    @property
    def address(self) -> str:
        """What its connections are counted by, whatever it is called: from each address of ours, as it counts them."""
        return f"{self.path or counted_as(self.ip)}{self._from}"

    @property
    def receiver(self) -> str:
        """The site, from an address of ours: what its limits are for."""
        return f"{self.site}{self._from}"

    @property
    def _from(self) -> str:
        return f" from {self.source_address}" if self.source_address else ""

    @property
    def proof(self) -> Proof:
        """What an encrypted connection to it is verified by."""
        if self.tlsa is not None and self.tlsa.records:
            return Proof.DANE
        if self.by_mta_sts:
            return Proof.MTA_STS
        return Proof.AUTHORITY if verifies(self.tls) else Proof.NOTHING

    @property
    def rests_as(self) -> str:
        """What is known by the same name to answer or not: the address, and all that was agreed on beforehand."""
        tls = f"{self.tls.value} {self.tlsa.base}" if self.tlsa is not None else self.tls.value
        return f"{self.path or self.ip}:{self.port} {tls} {self.username} {self.source_address}"


class OutboundConnection:
    """An open connection. Any exception leaves it unusable."""

    def __init__(self, peer: Peer, own_name: str, reply_seconds: float) -> None:
        self.peer = peer
        self.tls = ""
        self.has_greeted = False
        self.used = 0
        # How long it took to be made, until somebody has taken note of that.
        self.connect_seconds = 0.0
        # Whether the message of the running transaction may have reached the other side.
        self.body_sent = False
        # How many recipients of the running transaction the other side took before it hung up at a further one.
        self.taken = 0
        self._own_name = own_name
        self._opened = time.monotonic()
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
                        peer.ip,
                        peer.port,
                        ssl=implicit,
                        server_hostname=peer.name if implicit else None,
                        local_addr=(peer.source_address, 0) if peer.source_address else None,
                    )
        except (OSError, TimeoutError) as error:
            source = f" from {peer.source_address}" if peer.source_address else ""
            is_gone = source and getattr(error, "errno", 0) == errno.EADDRNOTAVAIL and not is_here(peer.source_address)
            failure = SourceGone if is_gone else ConnectionFailed
            raise failure(f"connecting to {peer.name} [{peer.ip}]{source}: {in_words(error)}") from error
        try:
            await self._greet(allow_tls)
        except (OSError, TimeoutError, BrokenReply) as error:
            self.abort()
            raise ConnectionFailed(f"{peer.name} [{peer.ip}]: {in_words(error)}") from error
        except BaseException:
            # A connection that was given up, too.
            self.abort()
            raise

    async def _greet(self, allow_tls: bool) -> None:
        if (raw := self._writer.get_extra_info("socket")) is not None and raw.family != socket.AF_UNIX:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        greeting = await self._reply(min(GREETING_SECONDS, self._reply_seconds))
        self.has_greeted = True
        self._must(greeting, "the connection")
        await self._hello()
        policy = self.peer.tls
        if policy is TLSPolicy.IMPLICIT:
            self._note_tls()
        elif policy is not TLSPolicy.NONE and not self.peer.path and allow_tls:
            if "STARTTLS" in self._features:
                await self._start_tls()
            elif policy is not TLSPolicy.OPPORTUNISTIC:
                raise NoTLSOffered(f"{self.peer.name} does not offer the encryption that is required")
        if self.peer.requires_tls and not (self.tls and "REQUIRETLS" in self._features):
            text = f"{self.peer.name} does not promise to send on over TLS alone, as the sender requires (REQUIRETLS)"
            raise ConnectionFailed(text, status_code=NO_REQUIRETLS)
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
            raise NoTLSOffered(f"{self.peer.name} refused STARTTLS: {reply.text}", reply.code, reply)
        if self._reader._buffer:  # type: ignore[attr-defined]
            # Bytes sent in clear after the 220 are an injection (RFC 3207 6).
            raise TLSFailed(f"{self.peer.name} sent more than its answer to STARTTLS")
        try:
            name = self.peer.tlsa.base if self.peer.tlsa is not None else self.peer.name
            async with asyncio.timeout(self._reply_seconds):
                await self._writer.start_tls(context_for(self.peer.tls), server_hostname=name)
            self._check_certificate()
            self._note_tls()
            # With TLS 1.3 the other side's refusal comes after our own handshake has ended.
            await self._hello()
        except (OSError, TimeoutError, BrokenReply, Mismatch) as error:
            failure = TLSFailed(f"TLS with {self.peer.name} [{self.peer.ip}] failed: {in_words(error)}")
            failure.tls_result = result_of(error)
            raise failure from error

    def _check_certificate(self) -> None:
        """Raise Mismatch unless it is the one that TLSA records tell of, where there are some of use."""
        if self.peer.tlsa is not None and self.peer.tlsa.records:
            check(self.peer.tlsa, presented_chain(self._writer.get_extra_info("ssl_object")))

    def _note_tls(self) -> None:
        cipher = self._writer.get_extra_info("cipher") or ("", "", 0)
        self.tls = text_of(cipher[1], cipher[0], self.peer.proof)

    async def _log_in(self) -> None:
        """AUTH PLAIN (RFC 4616), or LOGIN for the few hosts that offer nothing else."""
        peer = self.peer
        if not self.tls:
            raise ConnectionFailed(f"{peer.name}: a password is not sent without encryption")
        if not peer.password:
            raise ConnectionFailed(f"the route to {peer.name} has no password that can be read; enter it again")
        offered = self._features.get("AUTH", "").upper().split()
        if "PLAIN" in offered or "LOGIN" not in offered:
            reply = await self._ask("AUTH PLAIN", _base64(f"\0{peer.username}\0{peer.password}"))
        else:
            reply = await self._ask("AUTH LOGIN")
            for answer in (peer.username, peer.password):
                if reply.code == 334:
                    reply = await self._ask(_base64(answer))
        self._must(reply, "the login")

    def _must(self, reply: Reply, what: str) -> None:
        if reply.code // 100 != 2:
            raise ConnectionFailed(
                f"{self.peer.name} [{self.peer.ip}] answered {what}: {reply.text}", reply.code, reply
            )

    async def _ask(self, *words: str) -> Reply:
        self._writer.write((" ".join(words) + "\r\n").encode())
        return await self._reply(self._reply_seconds)

    async def _reply(self, seconds: float) -> Reply:
        async with asyncio.timeout(seconds):
            return await read_reply(self._reader)

    def refuses(self, entry: LeasedEntry, recipients: Sequence[LeasedRecipient]) -> Reply | None:
        """Our own reply in the host's place, when its own EHLO says that it can't take `entry` for `recipients`."""
        limit = self._features.get("SIZE", "")
        if limit.isdigit() and 0 < int(limit) < entry.size_bytes:
            text = f"5.3.4 the message is larger than the {limit} bytes that {self.peer.name} takes"
            return Reply(552, (text,), ours=True)
        if "SMTPUTF8" not in self._features and needs_utf8(entry, recipients):
            text = f"5.6.7 {self.peer.name} does not take addresses or headers beyond ASCII (it offers no SMTPUTF8)"
            return Reply(550, (text,), ours=True)
        return None

    @property
    def takes_dsn(self) -> bool:
        """Whether the host promises to send the notices that were asked for (RFC 3461)."""
        return "DSN" in self._features

    async def send(
        self, entry: LeasedEntry, recipients: Sequence[LeasedRecipient], content: bytes | BinaryIO | body.Prefixed
    ) -> list[Reply]:
        """One transaction: the reply that decides on each recipient, in order.

        8-bit content goes as it is to a host without 8BITMIME, too: to encode it again (RFC 6152 3) would break its
        signatures. Raises OSError, TimeoutError or BrokenReply; then nothing was certainly accepted.
        """
        self.used += 1
        self.body_sent = False
        self.taken = 0
        commands = [
            mail_command(entry, recipients, self._features),
            *[rcpt_command(recipient, self._features) for recipient in recipients],
            b"DATA\r\n",
        ]
        if "PIPELINING" in self._features:
            self._writer.write(b"".join(commands))
            replies = await self._replies(len(commands))
        else:
            replies = await self._one_by_one(commands)
        mail, answers, data = replies[0], replies[1:-1], replies[-1]
        if not mail.good:
            answers = [mail] * len(recipients)
        accepted = [reply.good for reply in answers]
        if not all(accepted):
            answers = [_too_many(reply) for reply in answers]
        if data.code != 354:
            if data.code < 400:
                raise BrokenReply(f"the other side answered DATA with {data.text[:80]!r}")
            await self._clear("RSET")
            return [data if good else reply for good, reply in zip(accepted, answers, strict=True)]
        if not any(accepted):
            # The host wants a body although nobody is to get it (RFC 2920 3.1).
            if mail.good:
                await self._clear(".")
            else:
                self.abort()
            return answers
        self.body_sent = True
        await self._write_body(content)
        ends = await self._ends(sum(accepted) if self.peer.lmtp else 1)
        following = iter(ends)
        return [
            (next(following) if self.peer.lmtp else ends[0]) if good else reply
            for good, reply in zip(accepted, answers, strict=True)
        ]

    async def _replies(self, count: int) -> list[Reply]:
        """The next replies. A host may close after a 421 (RFC 5321 3.8), which then speaks for the rest, too."""
        replies: list[Reply] = []
        try:
            while len(replies) < count:
                replies.append(await self._reply(self._reply_seconds))
                self._note_taken(replies)
        except (OSError, BrokenReply):
            if not replies or replies[-1].code != 421:
                raise
            replies += [replies[-1]] * (count - len(replies))
        return replies

    async def _one_by_one(self, commands: Sequence[bytes]) -> list[Reply]:
        """The commands for a host without pipelining: DATA only when somebody is to get the message."""
        replies: list[Reply] = []
        for command in commands:
            if replies and replies[-1].code == 421:
                replies.append(replies[-1])
                continue
            refused = replies and (not replies[0].good or not any(r.good for r in replies[1:]))
            if refused and (command == commands[-1] or not replies[0].good):
                replies.append(Reply(503, ("5.5.1 no valid recipients",)))
                continue
            self._writer.write(command)
            replies.append(await self._reply(self._reply_seconds))
            self._note_taken(replies)
        return replies

    def _note_taken(self, replies: Sequence[Reply]) -> None:
        """Count with the reply that came last: the first is that to MAIL."""
        if len(replies) > 1 and replies[-1].good:
            self.taken += 1

    async def _clear(self, command: str) -> None:
        """End a transaction whose outcome is known: what goes wrong here is the end of the connection only."""
        try:
            reply = await self._ask(command)
        except (OSError, TimeoutError, BrokenReply):
            self.abort()
            return
        if reply.code == 421 or (command == "RSET" and not reply.good):
            self.abort()

    async def _ends(self, count: int) -> list[Reply]:
        """The replies after the final dot; by LMTP one for each recipient, and those that came stand (RFC 2033 4.2)."""
        replies: list[Reply] = []
        try:
            while len(replies) < count:
                replies.append(await self._reply(DATA_END_SECONDS))
        except (OSError, TimeoutError, BrokenReply) as error:
            if not replies:
                raise
            self.abort()
            broken = Reply(451, (f"4.4.2 the connection to {self.peer.name} broke: {in_words(error)}",), ours=True)
            replies += [broken] * (count - len(replies))
        return replies

    async def _write_body(self, content: bytes | BinaryIO | body.Prefixed) -> None:
        if isinstance(content, bytes):
            self._writer.write(body.whole(content))
            return
        for chunk in body.chunks(content):
            self._writer.write(chunk)
            async with asyncio.timeout(self._reply_seconds):
                await self._writer.drain()

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
    def source(self) -> str:
        """Our address, as the other side sees it; empty when it is not known."""
        writer: asyncio.StreamWriter | None = getattr(self, "_writer", None)
        name = writer.get_extra_info("sockname") if writer is not None else None
        return str(name[0]) if isinstance(name, tuple) else ""

    @property
    def is_old(self) -> bool:
        """Whether what it was opened by (MX, TLSA, MTA-STS) is to be looked up again, or it has carried its share."""
        if 0 < self.peer.most_messages <= self.used:
            return True
        return not self.peer.lmtp and time.monotonic() - self._opened > OLDEST_SECONDS

    @property
    def closed(self) -> bool:
        """Whether it can't be used again: the other side has gone or said something that was not asked for."""
        reader = self._reader
        return self._writer.is_closing() or reader.at_eof() or bool(reader._buffer)  # type: ignore[attr-defined]


def _too_many(reply: Reply) -> Reply:
    """552 for a recipient means 452: a limit of the moment, not of the message (RFC 5321 4.5.3.1.10)."""
    if reply.code == 552 and reply.enhanced in ("5.5.3", "5.0.0"):
        return replace(reply, for_now=True)
    return reply


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
