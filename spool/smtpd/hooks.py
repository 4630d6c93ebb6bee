"""The handler of all sessions: what aiosmtpd's own verbs answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiosmtpd.smtp import Envelope, Session

if TYPE_CHECKING:
    from spool.smtpd.session import MailSession


class Hooks:
    """aiosmtpd calls them with its server (our session), its record of the client, and its envelope (we use none)."""

    @staticmethod
    async def handle_NOOP(server: MailSession, client: Session, envelope: Envelope | None, argument: str | None) -> str:
        return "250 2.0.0 OK"

    @staticmethod
    async def handle_RSET(server: MailSession, client: Session, envelope: Envelope | None) -> str:
        return "250 2.0.0 Reset"

    @staticmethod
    async def handle_QUIT(server: MailSession, client: Session, envelope: Envelope | None) -> str:
        server.how = "quit"
        return "221 2.0.0 Bye"

    def __dir__(self) -> tuple[str, ...]:
        return _NAMES


# aiosmtpd looks through the handler for each connection anew.
_NAMES = tuple(name for name in vars(Hooks) if name.startswith("handle_"))
HOOKS = Hooks()
