"""The check chain: who else has a say before a message is taken (SPOOL_SMTP_CHECKS, dotted paths, in order).

A check overrides the hooks it needs and answers with a Reply to refuse, or None to have no objection:

    class NoMondays(SMTPCheck):
        async def on_mail(self, session, sender):
            return Reply(450, "4.7.1", "Come back tomorrow") if date.today().weekday() == 0 else None
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from spool.message.envelope import Envelope, Submission
    from spool.smtpd.session import MailSession
    from spool.smtpd.shared import Shared


@dataclass(frozen=True, slots=True)
class Reply:
    """An SMTP reply with its enhanced status code (RFC 2034).

    `is_fault` says that it counts towards the errors that end a session; it is asked of replies to RCPT.
    """

    code: int
    enhanced: str
    text: str
    is_fault: bool = True

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}"


class SMTPCheck:
    """Base of all checks. A hook that is not overridden costs nothing."""

    async def start(self, shared: Shared) -> None:
        """Once in a listener's life, before it takes the first connection."""

    async def on_connect(self, session: MailSession) -> Reply | None: ...

    async def on_ehlo(self, session: MailSession, name: str) -> Reply | None: ...

    async def on_auth(self, session: MailSession, username: str) -> Reply | None: ...

    async def on_login(self, session: MailSession, username: str, password: str, succeeded: bool) -> None:
        """What became of a login; there is nothing to refuse any more."""

    async def on_mail(self, session: MailSession, sender: str) -> Reply | None: ...

    async def on_rcpt(self, session: MailSession, recipient: str) -> Reply | None: ...

    async def on_data(self, session: MailSession) -> Reply | None: ...

    async def on_message(self, session: MailSession, envelope: Envelope, size_bytes: int) -> Reply | None:
        """The whole message is there; a refusal is the answer to it."""

    async def on_content(self, session: MailSession, submission: Submission) -> Reply | None:
        """Nobody has refused the message: this is what would be stored, with our trace header, in memory or a file."""


HOOKS = ("on_connect", "on_ehlo", "on_auth", "on_login", "on_mail", "on_rcpt", "on_data", "on_message", "on_content")


class CheckChain:
    """The checks of this process, by the hooks that they really have."""

    def __init__(self) -> None:
        self._checks: list[SMTPCheck] = [import_string(path)() for path in settings.SPOOL_SMTP_CHECKS]
        self._unstarted = list(self._checks)
        self._hooks = {
            hook: [
                getattr(check, hook)
                for check in self._checks
                if getattr(type(check), hook) is not getattr(SMTPCheck, hook)
            ]
            for hook in HOOKS
        }

    async def start(self, shared: Shared) -> None:
        """Let each check get ready. When one raises, the next call goes on with that one."""
        while self._unstarted:
            await self._unstarted[0].start(shared)
            del self._unstarted[0]

    async def tell(self, hook: str, *arguments: object) -> None:
        """Let everyone know who wants to."""
        for call in self._hooks[hook]:
            await call(*arguments)

    async def refusal(self, hook: str, *arguments: object) -> Reply | None:
        """The first objection, if there is one."""
        for call in self._hooks[hook]:
            reply: Reply | None = await call(*arguments)
            if reply is not None:
                return reply
        return None
