"""From the bytes of a dropped file to a message and its envelope. Nothing is stored here."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from email.errors import MessageError
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import SMTP
from email.utils import formatdate, getaddresses

from django.conf import settings as django_settings

from accounts.addresses import InvalidAddress, split_address
from spool.addressing import RefusedRecipient, accept_many
from spool.envelope import Envelope, EnvelopeRecipient, Submission
from spool.message.header import block as header_block
from spool.models.entry import Origin

_STRIPPED = frozenset({b"bcc", b"resent-bcc", b"x-sender", b"x-receiver", b"return-path"})


class Unreadable(Exception):
    """The file can't become a message; the text says why."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message to take in; `refused` are the replies for recipients that can't get it."""

    submission: Submission
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Addressed:
    """A message by its own header: `content` has a trace of its way in, and nothing of the envelope.

    `is_named` says that X-Receiver names the recipients; otherwise they are all that the message is addressed to.
    """

    sender: str
    recipients: list[str]
    content: bytes
    is_named: bool


def read_message(raw: bytes) -> Dropped:
    """A dropped file as a message. Raises Unreadable, and django.db.Error when nobody can be looked up."""
    message = addressed(raw, "drop folder")
    resolved: dict[str, EnvelopeRecipient] = {}
    refused = []
    for answer in accept_many(message.recipients).values():
        if isinstance(answer, RefusedRecipient):
            refused.append(answer.reply)
        else:
            resolved.update((recipient.address, recipient) for recipient in answer)
    if not resolved:
        raise Unreadable("; ".join(refused) or "it names no recipient")
    utf8 = not all(address.isascii() for address in (message.sender, *resolved))
    envelope = Envelope(message.sender, list(resolved.values()), origin=Origin.DROP, smtputf8=utf8)
    return Dropped(Submission(envelope, message.content), tuple(refused))


def addressed(raw: bytes, way: str) -> Addressed:
    """A file's message and whom it is for; `way` is how it came in, for Received. Raises Unreadable."""
    if not raw.strip():
        raise Unreadable("it is empty")
    if b"\0" in raw:
        raise Unreadable("it has NUL bytes")
    content = re.sub(rb"\r\n|\r|\n", b"\r\n", raw)
    if content.startswith(b"From "):
        # The first line of a mailbox file is no header field.
        content = content.partition(b"\r\n")[2]
    try:
        headers = BytesHeaderParser(policy=SMTP.clone(utf8=True)).parsebytes(header_block(content))
        if not headers.keys():
            raise Unreadable("it does not begin with header lines")
        sender, recipients = _addresses(headers)
    except (MessageError, ValueError, IndexError, AttributeError, KeyError, TypeError) as error:
        # What the standard library's parser of addresses raises for some of those that are broken.
        raise Unreadable(f"its header can't be read: {error}") from error
    return Addressed(sender, recipients, _traced(content, headers, way), "X-Receiver" in headers)


def _addresses(headers: Message) -> tuple[str, list[str]]:
    """Reverse-path and forward-paths: X-Sender and X-Receiver where present, else the message's own fields."""
    senders = headers.get_all("X-Sender") or headers.get_all("Return-Path") or headers.get_all("From") or []
    receivers = headers.get_all("X-Receiver") or [
        *headers.get_all("To", []), *headers.get_all("Cc", []), *headers.get_all("Bcc", [])
    ]  # fmt: skip
    sender = next((address for _, address in getaddresses([str(s) for s in senders]) if address), "")
    recipients = [address for _, address in getaddresses([str(r) for r in receivers]) if address]
    try:
        if sender:
            sender = "@".join(split_address(sender))
        for address in recipients:
            split_address(address)
    except InvalidAddress as error:
        raise Unreadable(str(error)) from error
    return sender, recipients


def _traced(content: bytes, headers: Message, way: str) -> bytes:
    """The message without its envelope fields, with a Received line and what else it must have."""
    hostname = django_settings.MAILSPOOL_HOSTNAME
    date = formatdate(localtime=True)
    added = f"Received: by {hostname} (Mailspool) with local ({way}) id {secrets.token_hex(8)};\r\n\t{date}\r\n"
    if "Date" not in headers:
        added += f"Date: {date}\r\n"
    if "Message-ID" not in headers:
        added += f"Message-ID: <{secrets.token_hex(16)}@{hostname}>\r\n"
    block = header_block(content)
    kept, dropping = [], False
    for line in block.splitlines(keepends=True):
        if not line.startswith((b" ", b"\t")):
            dropping = line.partition(b":")[0].strip().lower() in _STRIPPED
        if not dropping:
            kept.append(line)
    return added.encode() + b"".join(kept) + content[len(block) :]
