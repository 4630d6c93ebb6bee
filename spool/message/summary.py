"""What the spool keeps of a message's header: its subject and Message-ID, as text that any database takes."""

from __future__ import annotations

import re

from spool.message import encoded_words, header

LONGEST = 255
# So much of a field is read: the rest would not be kept.
_MOST_READ = 4096
_SUBJECT = re.compile(rb"^subject[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE | re.MULTILINE)
_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE | re.MULTILINE)
_BREAKS = re.compile(r"\s+")
# Controls, marks that turn the direction of text around ("gnp.exe" shown as "exe.png"), what no database takes.
_UNSTORABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def storable(text: str, longest: int = LONGEST) -> str:
    """`text` as one line that any database and page takes, cut to `longest`: what can't be shown is U+FFFD."""
    if text.isascii() and text.isprintable():
        return text[:longest]
    return _UNSTORABLE.sub("\ufffd", text)[:longest]


def summary_of(content: bytes) -> tuple[str, str]:
    """(subject, Message-ID) of a message, for lists and searches; empty where there is none. Never raises."""
    lines = header.block(content)
    subject = _SUBJECT.search(lines)
    message_id = _MESSAGE_ID.search(lines)
    return (
        decoded(subject[1]) if subject else "",
        storable("".join(message_id[1][:_MOST_READ].decode("utf-8", "replace").split())) if message_id else "",
    )


def decoded(raw: bytes) -> str:
    """A header's text for people: folds undone, RFC 2047 words decoded, at most 255 characters."""
    text = _BREAKS.sub(" ", raw[:_MOST_READ].decode("utf-8", "replace"))
    return storable(_BREAKS.sub(" ", encoded_words.decode(text)).strip())
