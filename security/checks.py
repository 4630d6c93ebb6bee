"""What the lists say in an SMTP session: the checks that SPOOL_SMTP_CHECKS names.

A refusal says what a legitimate sender can do, and with which code the administrator finds the entry. It does not say
which rule it was, so that nobody learns what to write instead.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from django.db import Error as DatabaseError

from security import lists, login_protection
from security.models.networks import Protocol
from security.models.senders import Direction
from spool.smtpd.checks import Reply, SMTPCheck
from spool.smtpd.database import asked

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from spool.smtpd.session import MailSession
    from spool.smtpd.shared import Shared

# A session that is just handing its message over ends when it has its answer: a client that hears none sends twice.
AGAIN_SECONDS = 0.2


class BlacklistCheck(SMTPCheck):
    """Refuses connections from blacklisted addresses, and ends those that are open when an address is listed."""

    async def start(self, shared: Shared) -> None:
        loop = asyncio.get_running_loop()

        def changed() -> None:
            loop.call_soon_threadsafe(end_sessions, shared, loop)

        await asyncio.to_thread(lists.watch, changed)

    async def on_connect(self, session: MailSession) -> Reply | None:
        found = lists.current().blacklisted(session.client_ip, Protocol.SMTP)
        if found is None:
            return None
        return Reply(554, "5.7.1", _blacklisted(session, found.id))


def end_sessions(shared: Shared, loop: asyncio.AbstractEventLoop) -> None:
    """Say goodbye to everyone who is on the blacklist by now. In the loop's thread alone."""
    now = lists.current()
    if not now.blacklist.get(Protocol.SMTP):
        return
    left = False
    for session in list(shared.sessions):
        found = now.blacklisted(session.client_ip, Protocol.SMTP)
        if found is None:
            continue
        if session.deciding:
            left = True
            continue
        # Not only said goodbye to: a message whose end has just come in must not be taken after that.
        session.end(f"421 4.7.1 {_blacklisted(session, found.id)}")
    if left:
        loop.call_later(AGAIN_SECONDS, end_sessions, shared, loop)


class SMTPBlockCheck(SMTPCheck):
    """Refuses senders at MAIL. A host's name is remembered, and answered at AUTH or RCPT."""

    async def on_auth(self, session: MailSession, username: str) -> Reply | None:
        # The words for a wrong password: a name that is tried here must not learn that it is known.
        if lists.current().outbound.ehlo.find(_host_name(session)) is not None:
            return Reply(535, "5.7.8", "The user name or the password is wrong")
        return None

    async def on_mail(self, session: MailSession, sender: str) -> Reply | None:
        now = lists.current()
        if not now.inbound.senders and not now.outbound.senders:
            return None
        direction = _direction(session)
        found = now.blocks(direction).senders.find(sender)
        if found is None:
            return None
        if direction is Direction.OUTBOUND:
            return Reply(550, "5.7.1", f"<{sender}> may not send any more; ask your administrator, code S{found.id}")
        return Reply(550, "5.7.1", f"Mail from <{sender}> is not taken; {_appeal(session)}, code S{found.id}")

    async def on_rcpt(self, session: MailSession, recipient: str) -> Reply | None:
        now = lists.current()
        if not now.inbound.ehlo and not now.outbound.ehlo:
            return None
        found = now.blocks(_direction(session)).ehlo.find(_host_name(session))
        if found is None:
            return None
        return Reply(550, "5.7.1", f"Your mail is not taken; {_appeal(session)}, code S{found.id}")


class LoginProtectionCheck(SMTPCheck):
    """Closes AUTH to whoever guesses passwords, and counts the guesses."""

    async def on_auth(self, session: MailSession, username: str) -> Reply | None:
        found = await asked(login_protection.closed, username, session.client_ip)
        if found is None:
            return None
        # RFC 4954 6: temporary, so that a mail program keeps the message and asks for the password later.
        return Reply(454, "4.7.0", f"Too many failed logins; try again in {found.minutes} minutes")

    async def on_login(self, session: MailSession, username: str, password: str, succeeded: bool) -> None:
        try:
            if succeeded:
                await asked(login_protection.succeeded, username, session.client_ip)
            else:
                await asked(login_protection.failed, username, session.client_ip, password, Protocol.SMTP)
        except DatabaseError as error:
            # The answer to the password stands, whether it could be counted or not.
            log.error("a login of %s could not be counted: %s", session.client_ip, error)


def _direction(session: MailSession) -> Direction:
    """Mail of our users and of hosts that need no login is outbound; all other mail is the world's."""
    if session.user is not None or lists.current().may_relay(session.client_ip):
        return Direction.OUTBOUND
    return Direction.INBOUND


def _host_name(session: MailSession) -> str:
    return session.ehlo_name.lower().rstrip(".")


def _blacklisted(session: MailSession, number: int) -> str:
    return f"Mail from {session.client_ip} is not taken; {_appeal(session)}, code B{number}"


def _appeal(session: MailSession) -> str:
    return f"if that is a mistake, tell the postmaster of {session.hostname} by another way"
