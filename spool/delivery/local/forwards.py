"""Forwarding: what a mailbox owner's wish to have mail elsewhere makes of a message.

A forward keeps the reverse-path, so that whoever wrote learns of a failure. When a copy stays here too, the mailbox is
one of the forward's recipients: the message leaves this entry whole, once, and a full mailbox or an unreachable
forward address is then retried alone, without a second copy for the other.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from spool.addressing import RefusedRecipient, accept_many
from spool.delivery.trace_headers import header_line, received_line
from spool.message.envelope import Envelope, EnvelopeRecipient, LeasedEntry, LeasedRecipient, Submission, Tail
from spool.message.header import prepended
from spool.message.tls_wish import TLSWish
from spool.models.entry import Origin, Priority
from spool.models.recipient import Kind
from spool.trusted import is_ours

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Targets:
    """Where a forward goes. `keeps_copy`: the mailbox itself is one of the addresses, or is to keep its copy."""

    recipients: list[EnvelopeRecipient] = field(default_factory=list)
    keeps_copy: bool = False
    refusal: str = ""


def targets_of(address: str, forward_to: Sequence[str], recipient: LeasedRecipient, *, keeps_copy: bool) -> Targets:
    """Resolve `forward_to`, the forward addresses of the mailbox `address`.

    An address that takes no mail is left out, and logged; `refusal` keeps the reply of the last of those. NOTIFY and
    ORCPT go along (RFC 3461 5.2.7): with one new recipient as they are; with more, the duty to tell of success stays
    with the mailbox's copy, or with us.
    """
    found = Targets(keeps_copy=keeps_copy)
    recipients: dict[str, EnvelopeRecipient] = {}
    orcpt = recipient.orcpt
    for target, resolved in accept_many(forward_to, recipient.notify, orcpt).items():
        if isinstance(resolved, RefusedRecipient):
            found.refusal = resolved.reply
            log.warning("%s forwards to %s, which takes no mail: %s", address, target, resolved.reply)
            continue
        for one in resolved:
            if one.address == address:
                found.keeps_copy = True
                continue
            one.original = one.original or address
            recipients.setdefault(one.address, one)
    found.recipients = list(recipients.values())
    if found.keeps_copy or len(found.recipients) > 1:
        for one in found.recipients:
            one.notify = without_success(one.notify)
    return found


def without_success(notify: str) -> str:
    """RFC 3461 NOTIFY for a copy of which no success is to be reported."""
    if "SUCCESS" not in notify:
        return notify
    return ",".join(word for word in notify.split(",") if word != "SUCCESS") or "NEVER"


def mailbox_copy(address: str, domain: str, recipient: LeasedRecipient) -> EnvelopeRecipient:
    """The mailbox as a recipient of its own forward."""
    return EnvelopeRecipient(address, domain, Kind.LOCAL, recipient.original, recipient.notify, recipient.orcpt)


def forward(
    entry: LeasedEntry,
    content: bytes,
    address: str,
    recipients: list[EnvelopeRecipient],
    now: datetime,
    tail: Tail | None = None,
) -> Submission:
    """The message that `address` sends on to `recipients`, marked so that a loop back to it ends there.

    `content` is the message; or its header, when the rest is the `tail` of its file.
    """
    added = (
        header_line("Delivered-To", address)
        + header_line("X-Forwarded-For", address)
        + received_line(entry.file_name, address, now)
    )
    return Submission(
        Envelope(
            entry.sender,
            recipients,
            client_ip=entry.client_ip,
            ehlo_name=entry.ehlo_name,
            ours=is_ours(entry),
            origin=Origin.FORWARD,
            priority=Priority(entry.priority),
            envid=entry.envid,
            ret=entry.ret,
            smtputf8=entry.smtputf8 or not added.isascii() or not all(r.address.isascii() for r in recipients),
            eight_bit=entry.eight_bit,
            tls_wish=TLSWish(entry.tls_wish),
        ),
        content=prepended(added, content) + content,
        tail=tail,
        subject=entry.subject,
        message_id=entry.message_id,
        parent=entry.file_name,
    )
