"""One SMTP session: aiosmtpd's connection and TLS handling, with commands, DATA and intake of our own.

aiosmtpd has no DSN, CHUNKING or renewed timeouts, keeps whole messages in memory line by line, and looks its methods
up anew for each connection; so the verbs and the loop that reads them are written here.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import secrets
import ssl
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any, ClassVar

from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import Session as AioSession

from accounts import directory
from accounts.addresses import InvalidAddress, split_address
from accounts.directory import LocalUser
from spool import addressing
from spool.dsn.xtext import parse_envid, parse_notify, parse_orcpt, parse_ret
from spool.envelope import Envelope, EnvelopeRecipient, Submission
from spool.headers import header_block, summary_of
from spool.intake import IntakeError
from spool.models.recipient import Kind
from spool.smtpd.data import Body, TooMuch, read_data
from spool.smtpd.parameters import BadParameter, PathAndParameters, parse_path
from spool.smtpd.state import Port, Shared

log = logging.getLogger(__name__)

# RFC 5321 4.5.3.1.4 asks for 512 octets; DSN parameters need more (RFC 3461 5.4).
LONGEST_COMMAND = 4096
MOST_LOGIN_FAILURES = 3
FAILED_LOGIN_SECONDS = 1.0
_MAIL_PARAMETERS = frozenset({"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"})
_RCPT_PARAMETERS = frozenset({"NOTIFY", "ORCPT"})

Verb = Callable[["MailSession", str | None], Awaitable[None]]


class MailSession(SMTP):
    """A client's connection to one of our ports."""

    line_length_limit = LONGEST_COMMAND
    verbs: ClassVar[dict[str, Verb]] = {}

    def __init__(self, shared: Shared, port: Port, loop: asyncio.AbstractEventLoop) -> None:
        # Not SMTP.__init__: it inspects every method of handler and session anew for each connection.
        self.loop = loop
        asyncio.StreamReaderProtocol.__init__(
            self,
            asyncio.StreamReader(loop=loop, limit=self.line_length_limit),
            client_connected_cb=self._cb_client_connected,
            loop=loop,
        )
        self.shared = shared
        self.port = port
        self.hostname = shared.hostname
        self.tls_context = shared.tls
        self.session = None
        self.transport = None
        self._handle_hooks: dict[str, Callable[..., Any]] = {}
        self._tls_protocol = None
        self._original_transport = None
        self._tls_handshake_okay = True
        self._timeout_handle: asyncio.TimerHandle | None = None
        self._timeout_duration = float(shared.settings.command_timeout_seconds)
        self._handler_coroutine = None
        self.client_ip = ""
        self.user: LocalUser | None = None
        self.ehlo_name = ""
        self._extended = False
        self._errors = 0
        self._login_failures = 0
        self._mail: Envelope | None = None
        self._bdat: Body | None = None
        self._counted = False
        self._deciding = False

    # What SMTP calls on us.

    def _create_session(self) -> AioSession:
        return AioSession(self.loop)

    def _set_rset_state(self) -> None:
        """After a connection is made, and again after STARTTLS: nothing said before counts (RFC 3207 4.2)."""
        self.envelope = None
        self.user, self.ehlo_name, self._mail = None, "", None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self._counted:
            peer = transport.get_extra_info("peername")
            self.client_ip = peer[0].removeprefix("::ffff:") if peer else ""
            self._counted = True
            self.shared.connections += 1
            self.shared.per_ip[self.client_ip] += 1
            self.shared.counters["sessions"] += 1
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._counted:
            self._counted = False
            self.shared.connections -= 1
            self.shared.per_ip[self.client_ip] -= 1
            if self.shared.per_ip[self.client_ip] <= 0:
                del self.shared.per_ip[self.client_ip]
        if self._bdat is not None:
            self._bdat.discard()
        if self._deciding and self._handler_coroutine is not None:
            # The message is being committed: let that end by itself, only nobody is there to hear the answer.
            self._handler_coroutine = None
            if self._timeout_handle is not None:
                self._timeout_handle.cancel()
            asyncio.StreamReaderProtocol.connection_lost(self, error)
            self.transport = None
            return
        super().connection_lost(error)

    def eof_received(self) -> bool | None:
        """The client has said all it will say; what it said before is still answered."""
        self._reader.feed_eof()
        return not self._encrypted

    def _timeout_cb(self) -> None:
        if self.transport is not None:
            self._writer.write(b"421 4.4.2 Nothing was heard for too long; closing the connection\r\n")
            self.transport.close()

    @property
    def _encrypted(self) -> bool:
        return self.port.implicit_tls or self._tls_protocol is not None

    # The loop.

    async def _handle_client(self) -> None:
        try:
            if await self._greet():
                while self.transport is not None and not self.transport.is_closing():
                    await self._next_command()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        except TooMuch:
            await self.push("421 4.3.4 The message is far too large; closing the connection")
        finally:
            if self.transport is not None:
                self.transport.close()

    async def _greet(self) -> bool:
        """Say 220, or why not; whether the session goes on."""
        shared, settings = self.shared, self.shared.settings
        refusal = ""
        if shared.stopping:
            refusal = "421 4.3.2 The server is stopping; try again later"
        elif shared.connections > settings.max_connections:
            refusal = "421 4.3.2 Too many connections; try again later"
        elif shared.per_ip[self.client_ip] > settings.max_connections_per_ip and not shared.is_bypassed(self.client_ip):
            refusal = "421 4.7.0 Too many connections from your address; close some and try again"
        else:
            reply = await shared.checks.refusal("on_connect", self)
            refusal = str(reply) if reply else ""
        await self.push(refusal or f"220 {self.hostname} ESMTP Mailspool")
        return not refusal

    async def _next_command(self) -> None:
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            await self._skip_line(error.consumed)
            await self.refuse(f"500 5.5.2 The line is longer than {LONGEST_COMMAND} octets")
            return
        if self.shared.stopping and self._mail is None:
            await self.push("421 4.3.2 The server is stopping; try again later")
            self._close()
            return
        self._reset_timeout()
        if not line.endswith(b"\r\n") or b"\0" in line:
            await self.refuse("500 5.5.2 Commands end with CRLF and have no NUL")
            return
        try:
            text = line[:-2].decode("utf-8").strip(" ")
        except UnicodeDecodeError:
            await self.refuse("500 5.5.2 The command is not valid UTF-8")
            return
        command, _, argument = text.partition(" ")
        verb = self.verbs.get(command.upper())
        if verb is None:
            await self.refuse("500 5.5.2 The command is not known; HELP lists those that are")
            return
        await verb(self, argument.strip() or None)

    async def _skip_line(self, consumed: int) -> None:
        await self._reader.readexactly(consumed)
        while True:
            try:
                await self._reader.readuntil(b"\n")
                return
            except asyncio.LimitOverrunError as error:
                await self._reader.readexactly(error.consumed)

    async def push(self, status: str | bytes) -> None:
        """Send one reply."""
        self._writer.write((status if isinstance(status, bytes) else status.encode()) + b"\r\n")
        await self._writer.drain()

    async def refuse(self, reply: str) -> None:
        """Send an error; too many of them end the session."""
        self._errors += 1
        self.shared.counters[f"refused_{reply[:3]}"] += 1
        await self.push(reply)
        if self._errors >= self.shared.settings.max_errors:
            await self.push("421 4.7.0 Too many errors; closing the connection")
            self._close()

    def _close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    # The verbs.

    async def helo(self, name: str | None) -> None:
        await self._hello(name, extended=False)

    async def ehlo(self, name: str | None) -> None:
        await self._hello(name, extended=True)

    async def _hello(self, name: str | None, *, extended: bool) -> None:
        if not name:
            await self.refuse(f"501 5.5.4 Syntax: {'EHLO' if extended else 'HELO'} hostname")
            return
        reply = await self.shared.checks.refusal("on_ehlo", self, name)
        if reply:
            await self.refuse(str(reply))
            return
        self.ehlo_name, self._extended, self._mail = name[:255], extended, None
        if not extended:
            await self.push(f"250 {self.hostname}")
            return
        lines = [
            self.hostname, f"SIZE {self.shared.settings.max_message_bytes}", "8BITMIME", "SMTPUTF8", "PIPELINING",
            "CHUNKING", "ENHANCEDSTATUSCODES", "DSN",
        ]  # fmt: skip
        lines.append("AUTH PLAIN LOGIN" if self._encrypted else "STARTTLS")
        await self.push("\r\n".join([*(f"250-{line}" for line in lines), "250 HELP"]))

    async def starttls(self, argument: str | None) -> None:
        if self._encrypted:
            await self.refuse("503 5.5.1 TLS is active already")
            return
        await super().smtp_STARTTLS(argument or "")

    async def auth(self, argument: str | None) -> None:
        if not self._encrypted:
            await self.refuse("538 5.7.11 Passwords are taken under TLS only; use STARTTLS first")
        elif not self._extended:
            await self.refuse("503 5.5.1 Send EHLO first")
        elif self.user is not None or self._mail is not None:
            await self.refuse("503 5.5.1 AUTH comes once, and before MAIL")
        else:
            await self._log_in(argument or "")

    async def _log_in(self, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        try:
            if mechanism.upper() == "PLAIN":
                answer = (await self._response(initial, "")).split("\0")
                if len(answer) != 3 or answer[0] not in ("", answer[1]):
                    raise BadParameter("501 5.5.2 The PLAIN response needs a user and a password")
                username, password = answer[1:]
            elif mechanism.upper() == "LOGIN":
                username = await self._response(initial, "VXNlcm5hbWU6")
                password = await self._response("", "UGFzc3dvcmQ6")
            else:
                raise BadParameter("504 5.5.4 The mechanism is not known; use PLAIN or LOGIN")
        except BadParameter as error:
            await self.refuse(error.reply)
            return
        reply = await self.shared.checks.refusal("on_auth", self, username)
        self.user = None if reply else await asyncio.to_thread(directory.authenticate, username, password)
        if self.user is not None:
            await self.push("235 2.7.0 Welcome")
            return
        self._login_failures += 1
        await asyncio.sleep(FAILED_LOGIN_SECONDS)
        await self.refuse(str(reply) if reply else "535 5.7.8 The user name or the password is wrong")
        if self._login_failures >= MOST_LOGIN_FAILURES:
            await self.push("421 4.7.0 Too many failed logins; closing the connection")
            self._close()

    async def _response(self, initial: str, challenge: str) -> str:
        """One base64 response of the client, decoded. Raises BadParameter."""
        if not initial:
            await self.push(f"334 {challenge}")
            initial = (await self._reader.readuntil(b"\n")).decode("ascii", "replace").strip()
        if initial == "*":
            raise BadParameter("501 5.7.0 The login was cancelled")
        try:
            return base64.b64decode("" if initial == "=" else initial, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise BadParameter("501 5.5.2 The response is not valid base64") from error

    async def mail(self, argument: str | None) -> None:
        if not self.ehlo_name:
            await self.refuse("503 5.5.1 Send EHLO first")
        elif self._mail is not None:
            await self.refuse("503 5.5.1 MAIL was given already; RSET starts anew")
        elif self.port.submission and not self._encrypted:
            await self.refuse("530 5.7.0 Use STARTTLS first")
        elif self.port.submission and self.user is None:
            await self.refuse("530 5.7.0 Log in first")
        else:
            try:
                self._mail = await self._begin(parse_path("FROM", argument))
            except BadParameter as error:
                await self.refuse(error.reply)
            else:
                await self.push("250 2.1.0 Sender accepted")

    async def _begin(self, path: PathAndParameters) -> Envelope:
        """A new envelope, when the sender may send. Raises BadParameter."""
        parameters = path.parameters
        if unknown := parameters.keys() - _MAIL_PARAMETERS:
            raise BadParameter(f"555 5.5.4 The parameter {min(unknown)} is not known")
        sender = path.address
        utf8 = "SMTPUTF8" in parameters
        if sender:
            sender = _checked(sender, utf8, "553 5.1.7")
        self._check_size(parameters.get("SIZE"))
        body = parameters.get("BODY", "7BIT").upper()
        if body not in ("7BIT", "8BITMIME"):
            raise BadParameter("501 5.5.4 BODY is 7BIT or 8BITMIME")
        reply = await self.shared.checks.refusal("on_mail", self, sender)
        if reply:
            raise BadParameter(str(reply))
        if self.user is not None and sender and not await asyncio.to_thread(directory.may_send_as, self.user, sender):
            own = self.user.address
            raise BadParameter(f"553 5.7.1 You are logged in as {own}; send as that address or an alias of it")
        try:
            ret = parse_ret(parameters["RET"]) if "RET" in parameters else ""
            envid = parse_envid(parameters["ENVID"]) if "ENVID" in parameters else ""
        except ValueError as error:
            raise BadParameter(f"501 5.5.4 {error}") from error
        return Envelope(
            sender, auth_user=self.user.address if self.user else "", client_ip=self.client_ip,
            ehlo_name=self.ehlo_name, ret=ret, envid=envid, smtputf8=utf8, eight_bit=body == "8BITMIME",
        )  # fmt: skip

    def _check_size(self, announced: str | None) -> None:
        if announced is None:
            return
        if not announced.isdigit():
            raise BadParameter("501 5.5.4 SIZE is a number of bytes")
        if int(announced) > self._size_limit():
            raise BadParameter(f"552 5.3.4 The message is larger than the limit of {self._size_limit()} bytes")

    def _size_limit(self) -> int:
        limit = self.shared.settings.max_message_bytes
        own = self.user.max_message_kb * 1024 if self.user else 0
        return min(limit, own) if own else limit

    def _recipient_limit(self) -> int:
        limit = self.shared.settings.max_recipients
        own = self.user.max_recipients if self.user else 0
        return min(limit, own) if own else limit

    async def rcpt(self, argument: str | None) -> None:
        if self._mail is None:
            await self.refuse("503 5.5.1 Send MAIL first")
            return
        try:
            recipients = await self._recipients(parse_path("TO", argument), self._mail)
        except BadParameter as error:
            await self.refuse(error.reply)
            return
        known = {recipient.address for recipient in self._mail.recipients}
        self._mail.recipients += [recipient for recipient in recipients if recipient.address not in known]
        await self.push("250 2.1.5 Recipient accepted")

    async def _recipients(self, path: PathAndParameters, envelope: Envelope) -> list[EnvelopeRecipient]:
        """What the forward-path stands for. Raises BadParameter."""
        if unknown := path.parameters.keys() - _RCPT_PARAMETERS:
            raise BadParameter(f"555 5.5.4 The parameter {min(unknown)} is not known")
        if len(envelope.recipients) >= self._recipient_limit():
            raise BadParameter("452 4.5.3 Too many recipients; send the message to the others in another transaction")
        address = path.address
        if address.lower() == "postmaster":
            # RFC 5321 4.1.1.3: postmaster needs no domain.
            address = f"postmaster@{self.hostname}"
        address = _checked(address, envelope.smtputf8, "501 5.1.3")
        try:
            notify = parse_notify(path.parameters["NOTIFY"]) if "NOTIFY" in path.parameters else ""
            orcpt = parse_orcpt(path.parameters["ORCPT"]) if "ORCPT" in path.parameters else ""
        except ValueError as error:
            raise BadParameter(f"501 5.5.4 {error}") from error
        reply = await self.shared.checks.refusal("on_rcpt", self, address)
        if reply:
            raise BadParameter(str(reply))
        try:
            recipients = await self._resolve(address, notify, orcpt)
        except addressing.RefusedRecipient as error:
            raise BadParameter(error.reply) from error
        if recipients[0].kind is Kind.REMOTE and not recipients[0].original and not self._may_relay(recipients[0]):
            raise BadParameter(
                f"550 5.7.1 <{address}>: this server does not relay to other domains; log in on the submission port"
            )
        return recipients

    async def _resolve(self, address: str, notify: str, orcpt: str) -> list[EnvelopeRecipient]:
        """`addressing.accept`, without a thread when the directory's cache has the answer."""
        domain = directory.cached_domain(address.rpartition("@")[2])
        if not isinstance(domain, directory.Miss) and (
            domain is None or not isinstance(directory.cached(address), directory.Miss | None)
        ):
            known = directory.cached(address)
            if domain is None or isinstance(known, directory.LocalUser | directory.LocalList):
                return addressing.accept(address, notify, orcpt)
        return await asyncio.to_thread(addressing.accept, address, notify, orcpt)

    def _may_relay(self, recipient: EnvelopeRecipient) -> bool:
        return (
            self.user is not None
            or self.shared.is_bypassed(self.client_ip)
            or (not self.port.submission and self.shared.routes.is_gateway(recipient.domain))
        )

    async def data(self, argument: str | None) -> None:
        envelope = self._mail
        if argument:
            await self.refuse("501 5.5.4 Syntax: DATA")
        elif envelope is None or self._bdat is not None:
            await self.refuse("503 5.5.1 Send MAIL and RCPT first, and no BDAT")
        elif not envelope.recipients:
            await self.refuse("554 5.5.1 No valid recipients")
        else:
            reply = await self.shared.checks.refusal("on_data", self)
            if reply:
                await self.refuse(str(reply))
                return
            await self.push("354 Send the message, end it with a dot on its own line")
            body = Body(self._size_limit())
            try:
                rest = await read_data(self._reader, body, self._renew_for_data)
            except BaseException:
                body.discard()
                raise
            self._push_back(rest)
            await self._take(envelope, body)

    def _renew_for_data(self) -> None:
        self._reset_timeout(float(self.shared.settings.data_timeout_seconds))

    def _push_back(self, rest: bytes) -> None:
        """Let pipelined commands that came with the end of the message be read next."""
        if rest:
            buffer: bytearray = self._reader._buffer  # type: ignore[attr-defined]
            buffer[:0] = rest

    async def bdat(self, argument: str | None) -> None:
        """RFC 3030 CHUNKING. Each chunk is read to its end whatever becomes of it, or the dialogue would be lost."""
        words = (argument or "").upper().split()
        if not words or not words[0].isdigit() or len(words) > 2 or (len(words) == 2 and words[1] != "LAST"):
            await self.refuse("501 5.5.4 Syntax: BDAT size [LAST]")
            self._close()
            return
        body = self._bdat or Body(self._size_limit())
        left = int(words[0])
        while left:
            piece = await self._reader.read(min(left, 256 * 1024))
            if not piece:
                body.discard()
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(piece)
            self._renew_for_data()
            await body.add(piece)
        envelope = self._mail
        if envelope is None or not envelope.recipients:
            body.discard()
            await self.refuse("503 5.5.1 Send MAIL and RCPT first")
        elif len(words) == 2:
            self._bdat = None
            await self._take(envelope, body)
        else:
            self._bdat = body
            await self.push(f"250 2.0.0 {words[0]} octets received")

    async def _take(self, envelope: Envelope, body: Body) -> None:
        """Judge the whole message and hand it to intake; 250 only when it is durable."""
        self._mail, self._bdat = None, None
        if not body.problem and _hops(body.head) > self.shared.settings.max_hops:
            body.problem = "554 5.4.6 The message has come through too many servers: a mail loop"
        content: bytes | None = None
        spilled = None
        if not body.problem:
            try:
                content, spilled = await body.finish(self._trace_header(envelope, body))
            except OSError:
                body.problem = "452 4.3.1 The server's disk is full; try again later"
        if body.problem:
            body.discard()
            await self.refuse(body.problem)
            return
        subject, message_id = summary_of(body.head)
        submission = Submission(envelope, content, spilled, subject=subject, message_id=message_id)
        self._deciding = True
        try:
            name = await self.shared.committer.submit(submission)
        except IntakeError as error:
            self._deciding = False
            await self.refuse(error.reply)
            return
        except BaseException:
            if spilled is not None and self.transport is None:
                log.info("the client left before its message was answered")
            raise
        self._deciding = False
        self.shared.counters["accepted"] += 1
        if self.transport is not None:
            self._reset_timeout()
            await self.push(f"250 2.0.0 Taken as {name}")

    def _trace_header(self, envelope: Envelope, body: Body) -> bytes:
        """The Received line (RFC 5321 4.4, RFC 3848, RFC 6531 3.7.3), and what a submission lacks (RFC 6409 8)."""
        protocol = "UTF8SMTP" if envelope.smtputf8 else "ESMTP" if self._extended else "SMTP"
        if self._extended:
            protocol += ("S" if self._encrypted else "") + ("A" if self.user else "")
        date = formatdate(localtime=True)
        only = f"\r\n\tfor <{envelope.recipients[0].address}>" if len(envelope.recipients) == 1 else ""
        name = "".join(c for c in self.ehlo_name if c.isalnum() or c in ".-_:[]") or "unknown"
        lines = (
            f"Received: from {name} ([{self.client_ip}])\r\n\tby {self.hostname} (Mailspool) with {protocol}"
            f" id {secrets.token_hex(8)}{only};\r\n\t{date}\r\n"
        )
        if self.port.submission:
            names = {line.partition(b":")[0].strip().lower() for line in header_block(body.head).split(b"\r\n")}
            lines += "" if b"date" in names else f"Date: {date}\r\n"
            lines += "" if b"message-id" in names else f"Message-ID: <{secrets.token_hex(16)}@{self.hostname}>\r\n"
        return lines.encode()

    async def rset(self, argument: str | None) -> None:
        self._mail = None
        if self._bdat is not None:
            self._bdat.discard()
            self._bdat = None
        await self.push("250 2.0.0 Reset")

    async def noop(self, argument: str | None) -> None:
        await self.push("250 2.0.0 OK")

    async def quit(self, argument: str | None) -> None:
        await self.push("221 2.0.0 Bye")
        self._close()

    async def vrfy(self, argument: str | None) -> None:
        await self.push("252 2.1.5 Send mail to find out")

    async def expn(self, argument: str | None) -> None:
        await self.refuse("502 5.5.1 EXPN is not offered")

    async def help(self, argument: str | None) -> None:
        await self.push(f"214 2.0.0 {' '.join(sorted(self.verbs))}")


MailSession.verbs.update(
    {
        "HELO": MailSession.helo, "EHLO": MailSession.ehlo, "STARTTLS": MailSession.starttls,
        "AUTH": MailSession.auth, "MAIL": MailSession.mail, "RCPT": MailSession.rcpt, "DATA": MailSession.data,
        "BDAT": MailSession.bdat, "RSET": MailSession.rset, "NOOP": MailSession.noop, "QUIT": MailSession.quit,
        "VRFY": MailSession.vrfy, "EXPN": MailSession.expn, "HELP": MailSession.help,
    }
)  # fmt: skip


def _checked(address: str, utf8: bool, code: str) -> str:
    """`address` with its domain in A-labels. Raises BadParameter."""
    if not address.isascii() and not utf8:
        raise BadParameter("553 5.6.7 The address needs SMTPUTF8, which MAIL did not ask for")
    try:
        local_part, domain = split_address(address)
    except InvalidAddress as error:
        raise BadParameter(f"{code} {error}") from error
    return f"{local_part}@{domain}"


def _hops(head: bytes) -> int:
    block = header_block(head).lower()
    return block.count(b"\nreceived:") + block.startswith(b"received:")
