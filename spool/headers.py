"""What the spool keeps of a message's header: its subject and Message-ID, as text that any database takes."""

from __future__ import annotations

import re
from email.errors import HeaderParseError
from email.header import decode_header, make_header

LONGEST = 255
_SUBJECT = re.compile(rb"^subject:[ \t]*((?:[^\n]*\n?)(?:[ \t][^\n]*\n?)*)", re.IGNORECASE | re.MULTILINE)
_MESSAGE_ID = re.compile(rb"^message-id:\s*([^\n]*\n?(?:[ \t][^\n]*\n?)*)", re.IGNORECASE | re.MULTILINE)
_BREAKS = re.compile(r"\s+")
_UNSTORABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def storable(text: str, longest: int = LONGEST) -> str:
    """`text` without what a database or a page can't take (NUL, controls, lone surrogates), cut to `longest`."""
    if text.isascii() and text.isprintable():
        return text[:longest]
    return _UNSTORABLE.sub("\ufffd", text)[:longest]


def header_block(content: bytes) -> bytes:
    """The header lines of a message, the empty line left out."""
    end = content.find(b"\r\n\r\n")
    if end < 0:
        end = content.find(b"\n\n")
    return content if end < 0 else content[: end + 2]


def summary_of(content: bytes) -> tuple[str, str]:
    """(subject, Message-ID) of a message, for lists and searches; empty where there is none. Never raises."""
    block = header_block(content)
    subject = _SUBJECT.search(block)
    message_id = _MESSAGE_ID.search(block)
    return (
        decoded(subject.group(1)) if subject else "",
        storable("".join(message_id.group(1).decode("utf-8", "replace").split())) if message_id else "",
    )


def decoded(raw: bytes) -> str:
    """A header's text for people: folds undone, RFC 2047 words decoded, at most 255 characters."""
    text = raw[:4096].decode("utf-8", "replace")
    if "=?" in text:
        try:
            text = str(make_header(decode_header(text)))
        except (HeaderParseError, LookupError, UnicodeError, ValueError):
            pass
    return storable(_BREAKS.sub(" ", text).strip())
