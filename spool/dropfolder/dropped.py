"""From the bytes of a dropped file to a message and its envelope. Nothing is stored here."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from email.utils import formatdate

from django.conf import settings as django_settings

from accounts.addresses import split_address
from spool.addressing import RefusedRecipient, accept_many
from spool.message import address_list
from spool.message.envelope import Envelope, EnvelopeRecipient, Submission
from spool.message.header import Header
from spool.message.header import block as header_block
from spool.models.entry import Origin

_STRIPPED = frozenset({b"bcc", b"resent-bcc", b"x-sender", b"x-receiver", b"return-path"})


class Unreadable(Exception):
    """The file can't become a message; the text says why."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message to take in; `refused` are the replies for recipients that can't get it, and what was not certain."""

    submission: Submission
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Addressed:
    """A message by its own header: `content` has a trace of its way in, and nothing of the envelope.

    `doubts` are sentences about what may name further recipients, and was not certain. `is_named` says that X-Receiver
    names the recipients; otherwise they are all that the message is addressed to.
    """

    sender: str
    recipients: list[str]
    content: bytes
    is_named: bool
    doubts: tuple[str, ...] = ()


def read_message(raw: bytes) -> Dropped:
    """A dropped file as a message. Raises Unreadable, and django.db.Error when nobody can be looked up."""
    message = addressed(raw, "drop folder")
    resolved: dict[str, EnvelopeRecipient] = {}
    refused = list(message.doubts)
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
    header = Header.of(content)
    if not any(True for _ in header):
        raise Unreadable("it does not begin with header lines")
    recipients = _recipients(header)
    return Addressed(
        _sender(header),
        recipients.addresses,
        _traced(content, header, way),
        "x-receiver" in header,
        tuple(recipients.doubts),
    )


def _sender(header: Header) -> str:
    """The reverse-path, from the first of three fields that is there. Raises Unreadable when it is not certain."""
    for name in ("x-sender", "return-path", "from"):
        if name not in header:
            continue
        values = [value.decode("utf-8", "replace") for value in header.all(name)]
        found = address_list.read(", ".join(value for value in values if value not in ("", "<>")))
        # In From a name with a comma in it is no doubt about the address.
        doubts = [doubt for doubt in found.doubts if name != "from" or "@" in doubt or not found.addresses]
        if doubts:
            raise Unreadable(f"its sender is not certain: {'; '.join(doubts)}")
        if len(found.addresses) > 1 and name != "from":
            raise Unreadable(f"it names {len(found.addresses)} senders")
        return "@".join(split_address(found.addresses[0])) if found.addresses else ""
    return ""


def _recipients(header: Header) -> address_list.AddressList:
    """The forward-paths: by X-Receiver where it is there, else those of the message's own fields."""
    names = ("x-receiver",) if "x-receiver" in header else ("to", "cc", "bcc")
    every = address_list.AddressList()
    for value in (value for name in names for value in header.all(name)):
        found = address_list.read(value.decode("utf-8", "replace"))
        every.addresses += found.addresses
        every.doubts += found.doubts
    return every


def _traced(content: bytes, header: Header, way: str) -> bytes:
    """The message without its envelope fields, with a Received line and what else it must have."""
    hostname = django_settings.MAILSPOOL_HOSTNAME
    date = formatdate(localtime=True)
    added = f"Received: by {hostname} (Mailspool) with local ({way}) id {secrets.token_hex(8)};\r\n\t{date}\r\n"
    if "date" not in header:
        added += f"Date: {date}\r\n"
    if "message-id" not in header:
        added += f"Message-ID: <{secrets.token_hex(16)}@{hostname}>\r\n"
    block = header_block(content)
    kept, dropping = [], False
    for line in block.splitlines(keepends=True):
        if not line.startswith((b" ", b"\t")):
            dropping = line.partition(b":")[0].strip().lower() in _STRIPPED
        if not dropping:
            kept.append(line)
    return added.encode() + b"".join(kept) + content[len(block) :]
