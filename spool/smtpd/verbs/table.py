"""The verbs by their names, and those of them that touch no message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from spool.smtpd.verbs.auth import auth
from spool.smtpd.verbs.data import bdat, data
from spool.smtpd.verbs.mail import mail, rcpt

if TYPE_CHECKING:
    from spool.smtpd.session import MailSession

Verb = Callable[["MailSession", str | None], Awaitable[None]]


async def helo(session: MailSession, name: str | None) -> None:
    await _hello(session, name, extended=False)


async def ehlo(session: MailSession, name: str | None) -> None:
    await _hello(session, name, extended=True)


async def _hello(session: MailSession, name: str | None, *, extended: bool) -> None:
    if not name:
        await session.refuse(f"501 5.5.4 Syntax: {'EHLO' if extended else 'HELO'} hostname")
        return
    if not name.isascii():
        # RFC 5321 4.1.1.1: it would stand in our trace field, in a message that may not carry UTF-8.
        await session.refuse("501 5.5.4 The name has to be a host name in ASCII, or an address in brackets")
        return
    reply = await session.shared.checks.refusal("on_ehlo", session, name)
    if reply:
        await session.refuse(str(reply))
        return
    session.forget_transaction()
    session.ehlo_name, session.extended = name[:255], extended
    if not extended:
        await session.push(f"250 {session.hostname}")
        return
    lines = [
        session.hostname, f"SIZE {session.size_limit}", "8BITMIME", "SMTPUTF8", "PIPELINING", "CHUNKING",
        "ENHANCEDSTATUSCODES", "DSN",
    ]  # fmt: skip
    lines.append("AUTH PLAIN LOGIN" if session.encrypted else "STARTTLS")
    await session.push("\r\n".join([*(f"250-{line}" for line in lines), "250 HELP"]))


async def starttls(session: MailSession, argument: str | None) -> None:
    if argument:
        await session.refuse("501 5.5.4 Syntax: STARTTLS")
    elif session.encrypted:
        await session.refuse("503 5.5.1 TLS is active already")
    else:
        await session.push("220 2.0.0 Ready to start TLS")
        await session.start_tls()


async def rset(session: MailSession, argument: str | None) -> None:
    session.forget_transaction()
    await session.push("250 2.0.0 Reset")


async def noop(session: MailSession, argument: str | None) -> None:
    await session.push("250 2.0.0 OK")


async def quit_(session: MailSession, argument: str | None) -> None:
    await session.push("221 2.0.0 Bye")
    session.how = "quit"
    session.close()


async def vrfy(session: MailSession, argument: str | None) -> None:
    await session.push("252 2.1.5 Send mail to find out")


async def expn(session: MailSession, argument: str | None) -> None:
    await session.refuse("502 5.5.1 EXPN is not offered")


async def help_(session: MailSession, argument: str | None) -> None:
    await session.push(f"214 2.0.0 {' '.join(sorted(VERBS))}")


VERBS: dict[str, Verb] = {
    "HELO": helo, "EHLO": ehlo, "STARTTLS": starttls, "AUTH": auth, "MAIL": mail, "RCPT": rcpt, "DATA": data,
    "BDAT": bdat, "RSET": rset, "NOOP": noop, "QUIT": quit_, "VRFY": vrfy, "EXPN": expn, "HELP": help_,
}  # fmt: skip
# Those that bring no message nearer, and those that bring it.
IDLE = frozenset((helo, ehlo, rset, noop, vrfy, expn, help_))
CONTENT = frozenset((data, bdat))
