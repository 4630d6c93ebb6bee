"""One SMTP session: aiosmtpd's connection and TLS handling, with a loop, verbs and intake of our own.

aiosmtpd has no DSN, CHUNKING or renewed timeouts, keeps whole messages in memory line by line, and looks its methods
up anew for each connection; so the loop that reads commands is written here, and the verbs beside it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
from asyncio import sslproto
from collections.abc import Callable
from typing import Any

from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import Session as AioSession
from django.db import Error as DatabaseError

from accounts.directory import LocalUser
from spool.events import sessions
from spool.message.envelope import Envelope
from spool.monitoring import tally
from spool.smtpd.shared import Port, Shared
from spool.smtpd.verbs.reader import Body, TooMuch, TooSlow
from spool.smtpd.verbs.table import CONTENT, IDLE, VERBS
from spool.sockets.addresses import counted_as, plain_ip
from spool.trusted import trusts

log = logging.getLogger(__name__)

# RFC 5321 4.5.3.1.4 asks for 512 octets; DSN parameters need more (RFC 3461 5.4).
LONGEST_COMMAND = 4096
# How long a client that is being closed may take to read what it was told.
LINGER_SECONDS = 5.0
# Before its end a client of the implicit-TLS port counts against no limit.
HANDSHAKE_SECONDS = 20.0
# A message that takes longer than this has to come at this pace, on the average.
SLOW_SECONDS = 300.0
LEAST_BYTES_PER_SECOND = 256
MOST_IDLE_COMMANDS = 100
# How replies begin that say that we can't do now what the client may well ask for.
_OURS = ("421", "451", "452")
STOPPING = "421 4.3.2 The server is stopping; try again later"


class Stopping(Exception):
    """The server ends, and this client is amid no message: it has nothing more to say here."""


class MailSession(SMTP):
    """A client's connection to one of our ports.

    A check (spool.smtpd.checks) may read `client_ip`, `ehlo_name`, `user`, `port` and, from MAIL on, `transaction`.
    """

    line_length_limit = LONGEST_COMMAND

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
        self._timer_due = self._silent_until = math.inf
        self._timeout_duration = float(shared.settings.command_timeout_seconds)
        self._handler_coroutine = None
        self.client_ip = ""
        self.user: LocalUser | None = None
        self.ehlo_name = ""
        self.extended = False
        self.login_failures = 0
        # For the list of connections: since when (the loop's clock), who is just logging in, messages taken.
        self.since = loop.time()
        self.claimed_user = ""
        self.messages = 0
        # For the mail log: its name, what the client said last, refusals, and how it ended.
        self.log_id = sessions.new_id()
        self.said = ("", "")
        self.refusals = 0
        self.how = ""
        self._logged = False
        self.transaction: Envelope | None = None
        self.known_recipients: set[str] = set()
        self.chunks: Body | None = None
        self.deciding = False
        # What bounds a session that brings no message: commands since the last one, RCPTs, and the pace of its bytes.
        self.idle_commands = self.recipients_named = self._data_bytes = 0
        self._data_since = 0.0
        self._reading = False
        self._errors = 0
        self._counted = False

    # What SMTP calls on us.

    def _create_session(self) -> AioSession:
        return AioSession(self.loop)

    def _set_rset_state(self) -> None:
        """After a connection is made, and again after STARTTLS: nothing said before counts (RFC 3207 4.2)."""
        self.envelope = None
        self.user, self.ehlo_name, self.extended = None, "", False
        self.forget_transaction()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self._counted:
            peer = transport.get_extra_info("peername")
            self.client_ip = plain_ip(peer[0]) if peer else ""
            self._counted = True
            self.shared.connections += 1
            self.shared.sessions.add(self)
            self.shared.per_ip[counted_as(self.client_ip)] += 1
            self.shared.per_port[self.port.number] += 1
            tally.add("connections")
            if self.port.implicit_tls:
                # What the client says is for the TLS layer, once there is one.
                self.shared.handshakes.add(self)
                assert isinstance(transport, asyncio.Transport)
                transport.pause_reading()
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._counted:
            self._counted = False
            self.shared.connections -= 1
            self.shared.sessions.discard(self)
            self.shared.handshakes.discard(self)
            self.shared.per_port[self.port.number] -= 1
            address = counted_as(self.client_ip)
            self.shared.per_ip[address] -= 1
            if self.shared.per_ip[address] <= 0:
                del self.shared.per_ip[address]
            if self._logged:
                sessions.disconnect(self)
        if self.chunks is not None:
            self.chunks.discard()
        if self.deciding and self._handler_coroutine is not None:
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
        return not self.encrypted

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Let the client be silent for `duration` seconds from now on.

        A timer that is due earlier stays and sets itself again: a new one for each command costs more.
        """
        self._silent_until = self.loop.time() + (duration or self._timeout_duration)
        if self._silent_until < self._timer_due:
            if self._timeout_handle is not None:
                self._timeout_handle.cancel()
            self._timer_due = self._silent_until
            self._timeout_handle = self.loop.call_at(self._timer_due, self._timeout_cb)

    def _timeout_cb(self) -> None:
        transport = self.transport
        self._timer_due = math.inf
        if transport is None:
            return
        if (left := self._silent_until - self.loop.time()) > 0:
            self._reset_timeout(left)
            return
        if transport.is_closing():
            # The client does not even read what it was told: its connection must not stay for ever.
            transport.abort()
        elif self.deciding:
            self._reset_timeout()
        else:
            self.say_goodbye("421 4.4.2 Nothing was heard for too long; closing the connection")

    def say_goodbye(self, reply: str) -> None:
        """Send a last reply unasked, and close. Who is not under TLS yet, on a port that wants it, hears nothing."""
        if self in self.shared.handshakes and self.transport is not None:
            self.transport.abort()
        elif self.transport is not None and not self.transport.is_closing():
            self._writer.write(f"{reply}\r\n".encode())
            self.how = self.how or reply
            self.close()

    def end(self, reply: str) -> None:
        """Say goodbye and stop at once what is going on: nothing that is still to come counts, not even under TLS.

        A message that is being committed is left to its end; the caller tries again.
        """
        if not self.deciding:
            self.say_goodbye(reply)
            if self._handler_coroutine is not None:
                self._handler_coroutine.cancel()

    @property
    def is_over(self) -> bool:
        """Whether nothing the client sends is looked at any more; it may still have to hear the last reply."""
        return not self.deciding and (self._handler_coroutine is None or self._handler_coroutine.done())

    def close(self) -> None:
        """Close once everything written is sent; the client has LINGER_SECONDS to take it."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()
            self._reset_timeout(LINGER_SECONDS)

    async def start_tls(self) -> None:
        """Go on under TLS. Raises OSError when the handshake fails.

        What the client sent before is dropped by `connection_made` (RFC 3207 4.2: it may be somebody else's).
        """
        waiter = self.loop.create_future()
        plain = self.transport
        assert plain is not None
        tls = sslproto.SSLProtocol(
            self.loop, self, self.tls_context, waiter, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS
        )
        self._tls_protocol = tls
        self._original_transport = plain
        plain.set_protocol(tls)
        self.transport = tls._app_transport
        tls.connection_made(plain)
        plain.resume_reading()
        try:
            await waiter
        except OSError as error:
            # The TLS layer never told us of this connection, so it won't tell us of its end either.
            plain.abort()
            self.connection_lost(error)
            raise

    @property
    def encrypted(self) -> bool:
        return self._tls_protocol is not None

    @property
    def tls_in_use(self) -> str:
        """Protocol and cipher of the connection; empty without TLS."""
        if not self.encrypted or self.transport is None:
            return ""
        cipher = self.transport.get_extra_info("cipher")
        return f"{cipher[1]} {cipher[0]}"[:60] if cipher else "TLS"

    # What the verbs use.

    @property
    def reader(self) -> asyncio.StreamReader:
        return self._reader

    @property
    def size_limit(self) -> int:
        """The largest message, in bytes, that this client may send."""
        limit = self.shared.settings.max_message_bytes
        own = self.user.max_message_kb * 1024 if self.user else 0
        return min(limit, own) if own else limit

    @property
    def recipient_limit(self) -> int:
        limit = self.shared.settings.max_recipients
        own = self.user.max_recipients if self.user else 0
        return min(limit, own) if own else limit

    def begin_transaction(self, envelope: Envelope) -> None:
        """MAIL was accepted."""
        self.transaction = envelope
        self.known_recipients = set()
        self.recipients_named = self._data_bytes = 0

    def forget_transaction(self) -> None:
        """Back to where MAIL is expected."""
        self.transaction = None
        if self.chunks is not None:
            self.chunks.discard()
            self.chunks = None

    def renew(self) -> None:
        """Give the client its whole time for the next command."""
        self._reset_timeout()

    def renew_for_data(self, size_bytes: int) -> None:
        """Give the client its whole time for the next piece of a message. Raises TooSlow."""
        self._data_bytes += size_bytes
        seconds = self.loop.time() - self._data_since
        if seconds > SLOW_SECONDS and self._data_bytes < seconds * LEAST_BYTES_PER_SECOND:
            raise TooSlow
        self._reset_timeout(float(self.shared.settings.data_timeout_seconds))

    def push_back(self, rest: bytes) -> None:
        """Let pipelined commands that came with the end of the message be read next."""
        if rest:
            buffer: bytearray = self._reader._buffer  # type: ignore[attr-defined]
            buffer[:0] = rest

    @property
    def waits_for_command(self) -> bool:
        """Whether nothing is going on but that the client may say something, and it is amid no message."""
        return self._reading and self.transaction is None

    async def read_line(self) -> bytes | None:
        """The next line with its end; None for one that is too long, which is dropped. Raises Stopping."""
        if self.shared.stopping and self.transaction is None:
            raise Stopping
        self._reading = True
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            await self._skip_line(error.consumed)
            return None
        finally:
            self._reading = False

    async def _skip_line(self, consumed: int) -> None:
        await self._reader.readexactly(consumed)
        while True:
            try:
                await self._reader.readuntil(b"\n")
                return
            except asyncio.LimitOverrunError as error:
                await self._reader.readexactly(error.consumed)

    async def push(self, reply: str) -> None:
        """Send one reply."""
        self._writer.write(f"{reply}\r\n".encode())
        await self._writer.drain()

    async def refuse(self, reply: str, *, is_fault: bool = True, envelope: Envelope | None = None) -> None:
        """Send an error; too many of them that are the client's fault end the session. Our own failures are not.

        `envelope` is of the message that is refused, when it is not the session's transaction any more.
        """
        self._errors += is_fault and not reply.startswith(_OURS)
        tally.refusal(reply)
        sessions.refused(self, reply, *self.said, envelope or self.transaction)
        await self.push(reply)
        if self._errors >= self.shared.settings.max_errors:
            self.say_goodbye("421 4.7.0 Too many errors; closing the connection")

    # The loop.

    async def _handle_client(self) -> None:
        try:
            if await self._may_begin() and await self._greet():
                while self.transport is not None and not self.transport.is_closing():
                    await self._next_command()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, TimeoutError):
            pass
        except Stopping:
            self.say_goodbye(STOPPING)
        except TooSlow:
            self.say_goodbye("421 4.4.2 The message comes too slowly; closing the connection")
        except TooMuch:
            self.say_goodbye("421 4.3.4 The message is far too large; closing the connection")
        except Exception:  # the edge of a session: whatever is wrong with it must not touch the others
            log.exception("a session with %s failed", self.client_ip)
            self.say_goodbye("421 4.3.0 The server failed to handle this; try again later")
        finally:
            self.close()

    async def _may_begin(self) -> bool:
        """On a port that speaks TLS at once: whether the client gets as far as that, which costs memory and time."""
        if not self.port.implicit_tls:
            return True
        if refusal := await self._refusal():
            self._note_beginning(refusal)
            assert self.transport is not None
            self.transport.abort()
            return False
        await self.start_tls()
        self.shared.handshakes.discard(self)
        return True

    async def _greet(self) -> bool:
        """Say 220, or why not; whether the session goes on."""
        refusal = STOPPING if self.shared.stopping else ""
        if not self.port.implicit_tls:
            refusal = refusal or await self._refusal()
        self._note_beginning(refusal)
        await self.push(refusal or f"220 {self.hostname} ESMTP Mailspool")
        return not refusal

    async def _refusal(self) -> str:
        """Why this client may not even begin; empty when it may."""
        shared, settings = self.shared, self.shared.settings
        if shared.per_port[self.port.number] > shared.room_per_port:
            return "421 4.3.2 Too many connections; try again later"
        if shared.per_ip[counted_as(self.client_ip)] > settings.max_connections_per_ip and not trusts(self.client_ip):
            return "421 4.7.0 Too many connections from your address; close some and try again"
        reply = await shared.checks.refusal("on_connect", self)
        return str(reply) if reply else ""

    def _note_beginning(self, refusal: str) -> None:
        self._logged = True
        sessions.connect(self)
        if refusal:
            tally.refusal(refusal)
            sessions.refused(self, refusal, "CONNECT", "", None)

    async def _next_command(self) -> None:
        line = await self.read_line()
        # Nothing of a line that is no command of ours is logged: it may be a password in the wrong place.
        self.said = ("", "")
        if line is None:
            await self.refuse(f"500 5.5.2 The line is longer than {LONGEST_COMMAND} octets")
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
        verb = VERBS.get(command.upper())
        if verb is None:
            await self.refuse("500 5.5.2 The command is not known; HELP lists those that are")
            return
        self.said = (command.upper(), argument)
        if verb in IDLE:
            self.idle_commands += 1
            if self.idle_commands > MOST_IDLE_COMMANDS:
                self.say_goodbye("421 4.7.0 Too many commands that bring no message; closing the connection")
                return
        if verb in CONTENT and not self._data_bytes:
            self._data_since = self.loop.time()
        try:
            await verb(self, argument.strip() or None)
        except DatabaseError as error:
            log.error("the database could not be asked for %s: %s", self.client_ip, error)
            await self.refuse("451 4.3.0 The server can't look that up now; try again later")
