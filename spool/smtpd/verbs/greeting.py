"""HELO, EHLO and STARTTLS: who the client says it is, what is offered to it, and under what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiosmtpd.smtp import SMTP, syntax
from django.utils import timezone

from spool.smtpd.verbs import future_release

if TYPE_CHECKING:
    from spool.smtpd.session import MailSession

_EXTENSIONS = ("8BITMIME", "SMTPUTF8", "PIPELINING", "CHUNKING", "ENHANCEDSTATUSCODES")
_ALWAYS_OFFERED = "".join(f"250-{extension}\r\n" for extension in _EXTENSIONS)


@syntax("HELO hostname")
async def helo(session: MailSession, name: str | None) -> None:
    if name is None or await _accepts(session, name):
        await SMTP.smtp_HELO(session, name and name[:255])


@syntax("EHLO hostname")
async def ehlo(session: MailSession, name: str | None) -> None:
    if name is None:
        await session.refuse("501 5.5.4 Syntax: EHLO hostname")
        return
    if not await _accepts(session, name):
        return
    session.introduce(name[:255])
    offered = "AUTH PLAIN LOGIN\r\n250-REQUIRETLS" if session.encrypted else "STARTTLS"
    if session.is_one_of_us or session.port.submission:
        # Who does not log in there sends nothing; few clients ask again what is offered once they have.
        offered += "\r\n250-DSN"
    if session.longest_hold:
        offered += f"\r\n250-{future_release.offered(session.longest_hold, timezone.now())}"
    await session.push(
        f"250-{session.hostname}\r\n250-SIZE {session.size_limit}\r\n{_ALWAYS_OFFERED}250-{offered}\r\n250 HELP"
    )


async def _accepts(session: MailSession, name: str) -> bool:
    if not name.isascii():
        # RFC 5321 4.1.1.1: it would stand in our trace field, in a message that may not carry UTF-8.
        await session.refuse("501 5.5.4 The name has to be a host name in ASCII, or an address in brackets")
        return False
    reply = await session.shared.checks.refusal("on_ehlo", session, name)
    if reply:
        await session.refuse(str(reply))
    return not reply


@syntax("STARTTLS")
async def starttls(session: MailSession, argument: str | None) -> None:
    if argument:
        await session.refuse("501 5.5.4 Syntax: STARTTLS")
    elif session.encrypted:
        await session.refuse("503 5.5.1 TLS is active already")
    else:
        await session.push("220 2.0.0 Ready to start TLS")
        await session.start_tls(session.shared.tls)
