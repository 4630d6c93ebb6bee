"""VRFY and HELP: what a client may ask without sending anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiosmtpd.smtp import syntax

if TYPE_CHECKING:
    from spool.smtpd.session import MailSession


@syntax("VRFY <address>")
async def vrfy(session: MailSession, argument: str | None) -> None:
    # RFC 5321 7.3: who asks learns nothing of who is here.
    await session.push("252 2.1.5 Send mail to find out")


@syntax("HELP [command]")
async def help_(session: MailSession, command: str | None) -> None:
    verb = session.verbs.get((command or "").upper())
    if text := getattr(verb, "__smtp_syntax__", ""):
        await session.push(f"214 2.0.0 Syntax: {text}")
    else:
        await session.push(f"214 2.0.0 {' '.join(session.verbs)}")
