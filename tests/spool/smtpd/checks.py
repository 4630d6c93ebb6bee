"""Checks as somebody else would write them: each hook refuses what has its name in it."""

from __future__ import annotations

from spool.smtpd.checks import Reply, SMTPCheck
from spool.smtpd.session import MailSession

REFUSED_IP = "127.0.0.66"


class RefusesOnRequest(SMTPCheck):
    """Objects at the hook that the client names."""

    async def on_connect(self, session: MailSession) -> Reply | None:
        return Reply(554, "5.7.1", "on_connect objects") if session.client_ip == REFUSED_IP else None

    async def on_ehlo(self, session: MailSession, name: str) -> Reply | None:
        return Reply(550, "5.7.1", "on_ehlo objects") if name == "on-ehlo.test" else None

    async def on_auth(self, session: MailSession, username: str) -> Reply | None:
        return Reply(454, "4.7.0", "on_auth objects") if username.startswith("on-auth") else None

    async def on_mail(self, session: MailSession, sender: str) -> Reply | None:
        return Reply(450, "4.7.1", "on_mail objects") if sender.startswith("on-mail") else None

    async def on_rcpt(self, session: MailSession, recipient: str) -> Reply | None:
        return Reply(451, "4.7.1", "on_rcpt objects") if recipient.startswith("on-rcpt") else None

    async def on_data(self, session: MailSession) -> Reply | None:
        assert session.transaction is not None
        sender = session.transaction.sender
        return Reply(550, "5.7.1", "on_data objects") if sender.startswith("on-data") else None


class Breaks(SMTPCheck):
    """A check with a bug."""

    async def on_mail(self, session: MailSession, sender: str) -> Reply | None:
        if sender.startswith("breaks"):
            raise RuntimeError("a bug in a check")
        return None
