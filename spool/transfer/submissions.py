"""From an envelope that a file has to a message that intake takes: here one asks who is local."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from spool.addressing import BadRecipient, accept
from spool.message.envelope import Envelope, EnvelopeRecipient, Submission
from spool.models.entry import Origin
from spool.transfer.envelopes import ReadEnvelope
from spool.trusted import trusts


def submission_of(
    envelope: ReadEnvelope, content: bytes | Path, file_name: str, *, created: datetime | None = None, hold: str = ""
) -> Submission:
    """The message, of its bytes or a spilled file, for those who still wait for it.

    With `created` it is as old as that, and its tries and the time that it is scheduled for are kept. Without it the
    message is new. Raises RefusedRecipient for the first who can't get it here: then nobody does, and the file stays
    whole.
    """
    recipients: dict[str, EnvelopeRecipient] = {}
    for one in envelope.recipients:
        if not one.address.isprintable():
            raise BadRecipient(f"501 5.1.3 {one.address!r} is no address")
        for recipient in accept(one.address, one.notify, one.orcpt):
            recipient.original = recipient.original or one.original
            recipients[recipient.address] = recipient
    return Submission(
        Envelope(
            envelope.sender,
            list(recipients.values()),
            auth_user=envelope.auth_user,
            client_ip=envelope.client_ip,
            ehlo_name=envelope.ehlo_name,
            origin=Origin.COMMAND,
            priority=envelope.priority,
            envid=envelope.envid,
            ret=envelope.ret,
            smtputf8=envelope.smtputf8,
            eight_bit=envelope.eight_bit,
            tls_wish=envelope.tls_wish,
            tls=envelope.tls,
            port=envelope.port,
            created=created,
            attempts=envelope.attempts if created is not None else 0,
            delay_notified=envelope.delay_notified and created is not None,
            hold=hold,
            release=envelope.release if created is not None else None,
            ours=bool(envelope.auth_user) or not envelope.client_ip or trusts(envelope.client_ip),
        ),
        content=content if isinstance(content, bytes) else None,
        spilled=content if isinstance(content, Path) else None,
        file_name=file_name,
    )
