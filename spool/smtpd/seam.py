"""Between aiosmtpd and our sessions: the one module that knows how its SMTP class works inside, and what differs.

aiosmtpd's own are the constructor, its record of the client (`session`: peer, host_name, extended_smtp, authenticated,
auth_data; a new one for each connection and after STARTTLS), the beginning of a connection and its change to TLS, hooks
(`handle_VERB` of the handler, spool.smtpd.hooks), and the bodies of HELO, NOOP, RSET, QUIT and EXPN. A verb is a method
`smtp_VERB`, as there, with `@syntax` for HELP; `handle_exception` says what a client hears when its session fails.

What differs here:

- **dir()**: the constructor looks through all attributes of session and handler, twice, for each connection: 160 µs. So
  a session's `dir()` is empty, and its verbs are found by the same names, but once for the class (`verbs`); the handler
  names its hooks alone. That leaves 12 µs. No `handle_EHLO` is among them: the signature of that hook is inspected for
  each connection, too.
- **The loop**: aiosmtpd takes a bare LF for the end of a command, reads an endless line with neither end nor timeout,
  and answers a failure with the text of the exception.
- **Silence**: a timer that is due earlier is left to set itself again, where aiosmtpd makes one for each command. At
  its end the client is told so, and has a while to take it.
- **Replies** carry enhanced codes (RFC 2034), and errors are counted: a session's `push` sees to both for what
  aiosmtpd's verbs refuse by themselves.
- **The end of what the client says** is no end of the session: what it said before is answered, where aiosmtpd cancels.
- **The end of a connection** does not cancel a message that is being committed, or it would be there twice when the
  client sends it again.
- **TLS**: a handshake has a limit, and begins without STARTTLS, too, on a port where a client is looked at before it.
- **Pieces**: DATA and BDAT read from `reader` in large pieces and push back what came after the message.

Verbs that can't be aiosmtpd's, and so have bodies of their own in spool.smtpd.verbs:

- EHLO: our extensions would need `handle_EHLO` (see above), and its lines go out with a system call each.
- MAIL, RCPT: no parameters of DSN (RFC 3461), options in upper case (ENVID and ORCPT are not to be changed); a path is
  read by `email`, which takes 20 times as long, accepts `<a@b`, and raises IndexError at `<` and RecursionError at
  a thousand brackets.
- DATA: a message is kept line by line, twice; no BDAT (RFC 3030).
- AUTH: `authenticator` is no coroutine, so the whole listener would wait for a password; a response of any length is
  read, an overlong one raises; each login is a warning in the log (`login_data`).
- STARTTLS: comes twice, see TLS. VRFY reads an address, see MAIL. HELP answers 250 instead of 214 (RFC 5321 4.2.2).
"""

from __future__ import annotations

import asyncio
import math
import ssl
from asyncio import sslproto
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import Session as Client

# RFC 5321 4.5.3.1.4 asks for 512 octets; DSN parameters need more (RFC 3461 5.4).
LONGEST_COMMAND = 4096
# How long a client that is being closed may take to read what it was told.
LINGER_SECONDS = 5.0
# Before its end a client of the implicit-TLS port counts against no limit.
HANDSHAKE_SECONDS = 20.0


Verb = Callable[[Any, str | None], Awaitable[None]]


class BoundedSMTP(SMTP):
    """SMTP with bounds on what a client may send, and how long it may take. What it says is a subclass's matter.

    `verbs` has the methods `smtp_VERB` of the class by their verbs.
    """

    line_length_limit = LONGEST_COMMAND
    verbs: ClassVar[dict[str, Verb]]
    # From connection_made on.
    session: Client
    # What of aiosmtpd's own is looked at or set here without a public name; asyncio's reader and writer besides.
    _handler_coroutine: asyncio.Task[None] | None
    _timeout_handle: asyncio.TimerHandle | None
    _timeout_duration: float
    _tls_protocol: sslproto.SSLProtocol | None
    _original_transport: asyncio.Transport | None

    def __init__(self, handler: object, loop: asyncio.AbstractEventLoop, hostname: str, timeout_seconds: float) -> None:
        super().__init__(
            handler,
            loop=loop,
            hostname=hostname,
            ident="ESMTP Mailspool",
            timeout=timeout_seconds,
            enable_SMTPUTF8=True,
            data_size_limit=None,
        )
        self._timer_due = self._silent_until = math.inf
        # While this is true neither the end of the connection nor silence touches what goes on.
        self.deciding = False
        self._reading = False
        # What came before TLS began on a port where nothing is said without; None elsewhere, and afterwards.
        self._early: bytes | None = None

    def __init_subclass__(cls) -> None:
        cls.verbs = {name.removeprefix("smtp_"): getattr(cls, name) for name in dir(cls) if name.startswith("smtp_")}

    def __dir__(self) -> tuple[str, ...]:
        return ()

    # What a subclass says.

    async def begin(self) -> bool:
        """Greet the client; whether the session goes on."""
        raise NotImplementedError

    def before_line(self) -> None:
        """Called before each line is read. What it raises ends the session."""

    async def obey(self, command: str, argument: str | None, verb: Verb) -> None:
        """Run the `verb` that belongs to `command`, which is in upper case."""
        raise NotImplementedError

    async def refuse(self, reply: str) -> None:
        """Send an error."""
        raise NotImplementedError

    # What asyncio and aiosmtpd call.

    def connection_lost(self, error: Exception | None) -> None:
        if self.deciding and self._handler_coroutine is not None:
            # The message is being committed: let that end by itself, only nobody is there to hear the answer.
            self._handler_coroutine = None
            if self._timeout_handle is not None:
                self._timeout_handle.cancel()
            asyncio.StreamReaderProtocol.connection_lost(self, error)
            self.transport = None
            return
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if self._early is None:
            super().data_received(data)
            return
        self._early += data
        # A loop may read once more before that counts.
        assert self.transport is not None
        self.transport.pause_reading()

    def eof_received(self) -> bool | None:
        """The client has said all it will say; what it said before is still answered."""
        self._reader.feed_eof()
        return not self.encrypted

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Let the client be silent for `duration` seconds from now on."""
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

    async def _handle_client(self) -> None:
        try:
            if await self.begin():
                while self.is_open:
                    await self._next_command()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, TimeoutError):
            pass
        except Exception as error:  # the edge of a session: whatever is wrong with it must not touch the others
            self.say_goodbye(await self.handle_exception(error))
        finally:
            self.close()

    async def _next_command(self) -> None:
        line = await self.read_line()
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
        command = command.upper()
        verb = self.verbs.get(command)
        if verb is None:
            await self.refuse("500 5.5.2 The command is not known; HELP lists those that are")
        else:
            await self.obey(command, argument.strip() or None, verb)

    async def send(self, reply: str) -> None:
        """Send one reply, whatever it says."""
        self._writer.write(f"{reply}\r\n".encode())
        await self._writer.drain()

    # The end.

    def say_goodbye(self, reply: str) -> None:
        """Send a last reply unasked, and close."""
        if self.is_open:
            self._writer.write(f"{reply}\r\n".encode())
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
    def is_open(self) -> bool:
        """Whether the client can still be told something."""
        return self.transport is not None and not self.transport.is_closing()

    @property
    def is_over(self) -> bool:
        """Whether nothing the client sends is looked at any more; it may still have to hear the last reply."""
        return not self.deciding and (self._handler_coroutine is None or self._handler_coroutine.done())

    def close(self) -> None:
        """Close once everything written is sent; the client has LINGER_SECONDS to take it."""
        if self.transport is not None:
            # No harm to a transport that smtp_QUIT has closed.
            self.transport.close()
            self._reset_timeout(LINGER_SECONDS)

    # TLS.

    def keep_for_tls(self) -> None:
        """Before `connection_made`: what comes until `start_tls` is for the TLS layer."""
        self._early = b""

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on under TLS. Raises OSError when the handshake fails.

        What the client sent before is dropped by `connection_made` (RFC 3207 4.2: it may be somebody else's), unless
        it was kept for TLS. The TLS layer has to call that, before it hands over what came with the handshake's end;
        loop.start_tls does not.
        """
        waiter = self.loop.create_future()
        plain = self.transport
        assert plain is not None
        tls = sslproto.SSLProtocol(
            self.loop, self, context, waiter, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS
        )
        self._tls_protocol = tls
        self._original_transport = plain
        plain.set_protocol(tls)
        self.transport = tls._app_transport
        tls.connection_made(plain)
        early, self._early = self._early, None
        while early:
            buffer = tls.get_buffer(len(early))
            taken = min(len(early), len(buffer))
            buffer[:taken] = early[:taken]
            tls.buffer_updated(taken)
            early = early[taken:]
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

    # Reading.

    @property
    def reader(self) -> asyncio.StreamReader:
        return self._reader

    def push_back(self, rest: bytes) -> None:
        """Let pipelined commands that came with the end of the message be read next."""
        if rest:
            buffer: bytearray = self._reader._buffer  # type: ignore[attr-defined]
            buffer[:0] = rest

    async def read_line(self) -> bytes | None:
        """The next line with its end; None for one that is too long, which is dropped."""
        self.before_line()
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
