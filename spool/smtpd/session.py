"""One SMTP session: what a client may do, what it has said, and the verbs that it says it with."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from django.db import Error as DatabaseError

from accounts.directory import LocalUser
from spool.events import sessions
from spool.message.envelope import Envelope
from spool.monitoring import programs, tally
from spool.smtpd import hooks
from spool.smtpd.seam import BoundedSMTP, Verb
from spool.smtpd.shared import Port, Shared
from spool.smtpd.verbs.auth import auth
from spool.smtpd.verbs.data import bdat, data
from spool.smtpd.verbs.greeting import ehlo, helo, starttls
from spool.smtpd.verbs.mail import mail, rcpt
from spool.smtpd.verbs.questions import help_, vrfy
from spool.smtpd.verbs.reader import Body, TooMuch, TooSlow
from spool.sockets.addresses import counted_as, plain_ip
from spool.trusted import trusts

log = logging.getLogger(__name__)

# A message that takes longer than this has to come at this pace, on the average.
SLOW_SECONDS = 300.0
LEAST_BYTES_PER_SECOND = 256
MOST_IDLE_COMMANDS = 100
# The verbs that bring no message nearer, and those that bring it.
IDLE = frozenset(("HELO", "EHLO", "RSET", "NOOP", "VRFY", "EXPN", "HELP"))
CONTENT = frozenset(("DATA", "BDAT"))
# How replies begin that say that we can't do now what the client may well ask for.
_OURS = ("421", "451", "452")
# The enhanced codes (RFC 2034) of what aiosmtpd refuses by itself: it gives none.
_ENHANCED = {"501": "5.5.4", "502": "5.5.1"}
_NOTHING_AHEAD = timedelta()
STOPPING = "421 4.3.2 The server is stopping; try again later"
DRAINING = "421 4.3.2 This server takes no mail now, for maintenance; try again later"


class Stopping(Exception):
    """The server takes nothing more, and this client is amid no message: it has nothing more to say here."""


class MailSession(BoundedSMTP):
    """A client's connection to one of our ports.

    A check (spool.smtpd.checks) may read `client_ip`, `ehlo_name`, `user`, `port` and, from MAIL on, `transaction`.
    """

    # NOOP, RSET, QUIT and EXPN are aiosmtpd's, with our hooks.
    smtp_HELO, smtp_EHLO, smtp_STARTTLS, smtp_AUTH = helo, ehlo, starttls, auth
    smtp_MAIL, smtp_RCPT, smtp_DATA, smtp_BDAT = mail, rcpt, data, bdat
    smtp_VRFY, smtp_HELP = vrfy, help_

    def __init__(self, shared: Shared, port: Port, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(hooks.HOOKS, loop, shared.hostname, float(shared.settings.command_timeout_seconds))
        self.shared = shared
        self.port = port
        self.client_ip = ""
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
        # What bounds a session that brings no message: commands since the last one, RCPTs, and the pace of its bytes.
        self.idle_commands = self.recipients_named = self._data_bytes = 0
        self._data_since = 0.0
        # When it said its last command (the loop's clock).
        self._heard = self.since
        self._errors = 0
        self._counted = False

    # The connection.

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
                self.keep_for_tls()
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
        super().connection_lost(error)

    def say_goodbye(self, reply: str) -> None:
        """Send a last reply unasked, and close. Who is not under TLS yet, on a port that wants it, hears nothing."""
        if self in self.shared.handshakes and self.transport is not None:
            self.transport.abort()
        elif self.is_open:
            self.how = self.how or reply
            super().say_goodbye(reply)

    # What the client has said. aiosmtpd begins its record anew under TLS: nothing said before counts (RFC 3207 4.2).

    @property
    def is_one_of_us(self) -> bool:
        """Whether it may send anywhere: it has logged in, or its address is trusted."""
        return self.user is not None or trusts(self.client_ip)

    @property
    def ehlo_name(self) -> str:
        return str(self.session.host_name or "")

    @property
    def extended(self) -> bool:
        """Whether it said EHLO."""
        return bool(self.session.extended_smtp)

    def introduce(self, name: str) -> None:
        """EHLO was accepted."""
        self._set_rset_state()
        self.session.host_name, self.session.extended_smtp = name, True

    @property
    def user(self) -> LocalUser | None:
        """Who is logged in."""
        user: LocalUser | None = self.session.auth_data
        return user

    def log_in(self, user: LocalUser) -> None:
        self.session.authenticated, self.session.auth_data = True, user

    def _set_rset_state(self) -> None:
        self.forget_transaction()

    # What the verbs use.

    @property
    def size_limit(self) -> int:
        """The largest message, in bytes, that this client may send."""
        limit, user = self.shared.settings.max_message_bytes, self.user
        own = user.max_message_kb * 1024 if user else 0
        return min(limit, own) if own else limit

    @property
    def recipient_limit(self) -> int:
        limit, user = self.shared.settings.max_recipients, self.user
        own = user.max_recipients if user else 0
        return min(limit, own) if own else limit

    @property
    def longest_hold(self) -> timedelta:
        """How far ahead this client may schedule a message; nothing where it may not at all."""
        return timedelta(days=self.shared.settings.schedule_days) if self.port.submission else _NOTHING_AHEAD

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

    @property
    def closing(self) -> str:
        """What is said to who is amid no message, when no more is taken here; empty when mail is taken."""
        if self.shared.stopping:
            return STOPPING
        return DRAINING if programs.is_draining() else ""

    @property
    def waits_for_command(self) -> bool:
        """Whether nothing is going on but that the client may say something, and it is amid no message."""
        return self._reading and self.transaction is None

    def says_nothing_since(self, moment: float) -> bool:
        """Whether a command has been waited for since that moment of the loop's clock, amid a message or not."""
        return self._reading and self._heard <= moment

    async def push(self, reply: str) -> None:
        """Send one reply. What aiosmtpd refuses by itself is counted and noted like what we do."""
        if reply[0] in "45":
            code, _, text = reply.partition(" ")
            await self.refuse(f"{code} {_ENHANCED[code]} {text}")
        else:
            await self.send(reply)

    async def refuse(self, reply: str, *, is_fault: bool = True, envelope: Envelope | None = None) -> None:
        """Send an error; too many of them that are the client's fault end the session. Our own failures are not.

        `envelope` is of the message that is refused, when it is not the session's transaction any more.
        """
        self._errors += is_fault and not reply.startswith(_OURS)
        tally.refusal(reply)
        sessions.refused(self, reply, *self.said, envelope or self.transaction)
        await self.send(reply)
        if self._errors >= self.shared.settings.max_errors:
            self.say_goodbye("421 4.7.0 Too many errors; closing the connection")

    # The dialogue.

    async def begin(self) -> bool:
        return await self._may_begin() and await self._greet()

    async def _may_begin(self) -> bool:
        """On a port that speaks TLS at once: whether the client gets as far as that, which costs memory and time."""
        if not self.port.implicit_tls:
            return True
        if refusal := await self._refusal():
            self._note_beginning(refusal)
            assert self.transport is not None
            self.transport.abort()
            return False
        await self.start_tls(self.shared.tls)
        self.shared.handshakes.discard(self)
        return True

    async def _greet(self) -> bool:
        """Say 220, or why not; whether the session goes on."""
        refusal = self.closing
        if not self.port.implicit_tls:
            refusal = refusal or await self._refusal()
        self._note_beginning(refusal)
        await self.send(refusal or f"220 {self.hostname} {self.__ident__}")
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

    def before_line(self) -> None:
        if self.transaction is None and self.closing:
            raise Stopping

    async def obey(self, command: str, argument: str | None, verb: Verb) -> None:
        if command in IDLE:
            self.idle_commands += 1
            if self.idle_commands > MOST_IDLE_COMMANDS:
                self.say_goodbye("421 4.7.0 Too many commands that bring no message; closing the connection")
                return
        elif command in CONTENT and not self._data_bytes:
            self._data_since = self.loop.time()
        self.said = (command, argument or "")
        self._heard = self.loop.time()
        try:
            await verb(self, argument)
        except DatabaseError as error:
            log.error("the database could not be asked for %s: %s", self.client_ip, error)
            await self.refuse("451 4.3.0 The server can't look that up now; try again later")
        # Nothing of a line that is no command of ours is logged: it may be a password in the wrong place.
        self.said = ("", "")

    async def handle_exception(self, error: Exception) -> str:
        """What the client is told at the end of a session that can't go on."""
        if isinstance(error, Stopping):
            return self.closing or STOPPING
        if isinstance(error, TooSlow):
            return "421 4.4.2 The message comes too slowly; closing the connection"
        if isinstance(error, TooMuch):
            return "421 4.3.4 The message is far too large; closing the connection"
        log.exception("a session with %s failed", self.client_ip)
        return "421 4.3.0 The server failed to handle this; try again later"
