"""Whether who has logged in may send as whom a message says: the envelope at MAIL, the header when it is there.

The rule is Settings' `send_as`, or that of the domain or the user (accounts.sending). Who has not logged in is no
business of this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts import sending
from accounts.addresses import key_of
from accounts.models.sending import SendAs
from spool.message import authors
from spool.message.header import Header
from spool.smtpd.database import asked

if TYPE_CHECKING:
    from spool.message.envelope import Envelope
    from spool.smtpd.session import MailSession


async def envelope_reply(session: MailSession, sender: str) -> str:
    """The refusal of MAIL; empty when there is none."""
    if session.user is None:
        return ""
    refused = await asked(sending.envelope_refusal, session.user, sender, _server(session))
    if refused is None:
        return ""
    if not sender:
        return f"553 5.7.1 The empty sender is for servers: {refused.advice}"
    return f"553 5.7.1 You may not send as <{sender}>: {refused.advice}"


async def header_reply(session: MailSession, envelope: Envelope, head: bytes) -> str:
    """The refusal of a message whose header is in `head`; empty when there is none."""
    user = session.user
    if user is None:
        return ""
    header = Header.of(head)
    if (count := len(header.all("from"))) > 1:
        # Programs show different ones of them, and none could be signed for (RFC 5322 3.6, RFC 6376 8.15).
        return f"550 5.6.0 The message has {count} From fields, where one is allowed"
    if not sending.looks_at_headers(user, _server(session)):
        return ""
    try:
        named = authors.senders(header)
    except authors.Unclear as error:
        return f"550 5.7.1 {error}: nobody can tell whether you may send it; send as {user.address}"
    # Whoever was let in at MAIL has just been looked at.
    others = [address for address in named if key_of(address) != key_of(envelope.sender)]
    refused = await asked(sending.header_refusal, user, others, _server(session)) if others else None
    if refused is None:
        return ""
    return f"550 5.7.1 The message says that it is from <{_shown(refused.address)}>: {refused.advice}"


def _server(session: MailSession) -> SendAs:
    return SendAs(session.shared.settings.send_as)


def _shown(address: str) -> str:
    """A sender's text in a reply: one line of ASCII."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in address[:100])
