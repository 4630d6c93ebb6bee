"""One message of a Postfix queue, as `postcat -q ID` prints it: envelope records, the content, more records.

postcat decodes what xtext had encoded, and has LF at the ends of lines. The content can't pretend to end: the markers
name the queue file, and only the last of each kind counts, which Postfix wrote after all of the content.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

from spool.dsn.xtext import InvalidParameter, encode, encode_utf8, parse_envid, parse_orcpt
from spool.message.summary import storable
from spool.transfer.envelopes import ReadEnvelope, ReadRecipient, Unreadable, sender_of

_BEGIN = re.compile(rb"\*\*\* ENVELOPE RECORDS (\S{1,300}) \*\*\*\n")
# The bits of notify_flags and ret_flags (Postfix's dsn_mask.h).
_NOTIFY = ((2, "SUCCESS"), (4, "FAILURE"), (8, "DELAY"))
_RET = {1: "FULL", 2: "HDRS"}
# In the order of their use, of the session first: a content filter's own is no news.
_TEXTS = {"sasl_username": "auth_user", "log_client_address": "client_ip", "log_helo_name": "ehlo_name"}
_SMTPUTF8_REQUESTED = 1


def read(text: bytes) -> tuple[ReadEnvelope, bytes]:
    """Envelope and content, with CRLF. Raises Unreadable."""
    begin = _BEGIN.match(text)
    if begin is None:
        raise Unreadable("it does not begin as the output of postcat -q (without -v, -b or -h)")
    name = begin[1]
    content_from = text.find(_marker(b"MESSAGE CONTENTS", name), begin.end())
    content_to = text.rfind(b"\n" + _marker(b"HEADER EXTRACTED", name), begin.end())
    end = text.rfind(_marker(b"MESSAGE FILE END", name), content_to)
    if not begin.end() <= content_from < content_to < end:
        raise Unreadable("a part of postcat's output is missing: envelope, content and end must all be there")
    if text[end:].count(b"\n") != 1:
        raise Unreadable("something follows the message: each must be a file of its own")
    content = text[text.index(b"\n", content_from) + 1 : content_to + 1]
    extracted = text[text.index(b"\n", content_to + 1) + 1 : end]
    envelope = _envelope([*_records(text[begin.end() : content_from]), *_records(extracted)])
    if name.split(b"/")[0] == b"hold":
        envelope.hold = "On hold in Postfix"
    return envelope, re.sub(rb"\r?\n", b"\r\n", content)


def _marker(what: bytes, name: bytes) -> bytes:
    return b"*** %s %s ***\n" % (what, name)


def _records(lines: bytes) -> list[tuple[str, str]]:
    records = []
    for line in lines.decode("utf-8", "surrogateescape").split("\n"):
        key, colon, value = line.partition(":")
        if colon:
            records.append((key, value.removeprefix(" ")))
    return records


def _envelope(records: list[tuple[str, str]]) -> ReadEnvelope:
    envelope = ReadEnvelope("")
    senders = 0
    # What stands before a recipient is about it, and it alone.
    about: dict[str, str] = {}
    try:
        for key, value in records:
            if key == "sender":
                envelope.sender = sender_of(value)
                senders += 1
            elif key == "message_size":
                numbers = value.split()
                envelope.smtputf8 = len(numbers) > 5 and bool(int(numbers[5]) & _SMTPUTF8_REQUESTED)
            elif key == "message_arrival_time":
                envelope.created = _local_time(value)
            elif key == "original_recipient":
                about["original"] = value
            elif key == "named_attribute":
                _attribute(envelope, about, *value.partition("=")[::2])
            elif key == "recipient":
                envelope.recipients.append(_recipient(value, about))
                about = {}
            elif key == "done_recipient":
                envelope.done += 1
                about = {}
    except ValueError as error:
        raise Unreadable(f"its envelope can't be read: {storable(str(error), 300)}") from error
    if senders != 1:
        raise Unreadable("its envelope names no sender, or several")
    utf8 = not all(address.isascii() for address in (envelope.sender, *(one.address for one in envelope.recipients)))
    envelope.smtputf8 = envelope.smtputf8 or utf8
    return envelope


def _attribute(envelope: ReadEnvelope, about: dict[str, str], name: str, value: str) -> None:
    if name in _TEXTS:
        text = storable(value, 254)
        setattr(envelope, _TEXTS[name], "" if text == "unknown" else text[:45] if name.endswith("address") else text)
    elif name == "encoding":
        envelope.eight_bit = value == "8bit"
    elif name == "envelope_id":
        envelope.envid = _valid(parse_envid, lambda: encode(value))
    elif name == "ret_flags":
        envelope.ret = _RET.get(int(value), "")
    elif name in ("notify_flags", "dsn_orig_rcpt"):
        about[name] = value


def _recipient(address: str, about: dict[str, str]) -> ReadRecipient:
    flags = int(about.get("notify_flags", "0"))
    notify = "NEVER" if flags & 1 else ",".join(word for bit, word in _NOTIFY if flags & bit)
    kind, _, original = about.get("dsn_orig_rcpt", "").partition(";")
    encoded = encode if original.isascii() else encode_utf8
    orcpt = _valid(parse_orcpt, lambda: f"{kind};{encoded(original)}") if original else ""
    written = about.get("original", "")
    return ReadRecipient(address, "" if written.lower() == address.lower() else storable(written, 320), notify, orcpt)


def _valid(parse: Callable[[str], str], spelled: Callable[[], str]) -> str:
    """A parameter of a report; one that we would not take is left out, and the mail goes on without it."""
    try:
        return parse(spelled())
    except InvalidParameter:
        return ""


def _local_time(text: str) -> datetime:
    """postcat prints the machine's local time, as `Sun Nov 29 11:26:48 2026`. Raises ValueError."""
    moment = datetime.fromtimestamp(time.mktime(time.strptime(text, "%a %b %d %H:%M:%S %Y")), UTC)
    return min(moment, datetime.now(UTC))
