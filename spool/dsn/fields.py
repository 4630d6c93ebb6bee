"""Header and report fields from text that a stranger may have chosen: nothing of it can end a line or a field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime

from accounts.addresses import InvalidAddress, split_address

# RFC 5322 2.1.1, in octets without the CRLF.
LONGEST_LINE = 998
_COMFORTABLE_LINE = 76
_LONGEST_WORD = 900

_MESSAGE_ID = re.compile(r"<[!-;=?A-~]{1,400}@[!-;=?A-~]{1,400}>")
_ENHANCED_CODE = re.compile(r"\s*([245])\d\d[ \-]\s*(?:#?(\1\.\d{1,3}\.\d{1,3})(?![\d.]*\d))?")
_SMTP_REPLY = re.compile(r"[2-5]\d\d(?:[ \-]|$)")


def one_line(text: str, longest: int = 1000, *, ascii_only: bool = False) -> str:
    """`text` without line ends, controls, bidirectional overrides and lone surrogates, cut to `longest` characters."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(character if character.isprintable() else " " for character in text[: 2 * longest])
        if ascii_only:
            text = text.encode("ascii", "replace").decode("ascii")
    return " ".join(text.split())[:longest].rstrip()


def date(moment: datetime) -> str:
    """An RFC 5322 date-time, in UTC: the servers of one installation may stand in different zones."""
    return format_datetime(moment.astimezone(UTC))


def smtp_code(reply: str) -> str:
    """The RFC 3463 code in an SMTP reply, or "" when it has none that fits the reply's own code."""
    match = _ENHANCED_CODE.match(reply)
    return match[2] or "" if match else ""


def is_smtp_reply(text: str) -> bool:
    return _SMTP_REPLY.match(text) is not None


def field(name: str, value: str) -> str:
    """One field with its line ends; `value` is one line already, and is folded between words where it is long."""
    lines = [f"{name}:"]
    for word in _words(value):
        # A field name alone on its line is legal, but not every reader of reports copes with it.
        longest = LONGEST_LINE if lines == [f"{name}:"] else _COMFORTABLE_LINE
        if word and _octets(lines[-1]) + 1 + _octets(word) > longest:
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines) + "\r\n"


def _words(value: str) -> Iterator[str]:
    """The words of `value`; one that no line could hold comes in pieces."""
    for word in value.split(" "):
        if _octets(word) <= _LONGEST_WORD:
            yield word
            continue
        piece = _LONGEST_WORD // 4
        yield from (word[start : start + piece] for start in range(0, len(word), piece))


def _octets(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def unstructured(name: str, value: str) -> str:
    """A field of free text, as ASCII: RFC 2047 words where `value` needs them."""
    text = one_line(value)
    if text.isascii() and "=?" not in text:
        return field(name, text)
    return name + ": " + Header(text, "utf-8", header_name=name).encode(linesep="\r\n") + "\r\n"


def mailbox(address: str, *, utf8: bool) -> str | None:
    """`address` as it may stand in From or To, its domain in A-labels; None when no header can hold it."""
    try:
        local_part, domain = split_address(address)
    except InvalidAddress:
        return None
    if not local_part.isprintable() or not (utf8 or local_part.isascii()):
        return None
    return f"{local_part}@{domain}"


def message_id(value: str) -> str:
    """The first Message-ID in `value`, or "" when it has none that may be repeated in a header."""
    match = _MESSAGE_ID.search(value[:2000])
    return match[0] if match else ""


def quoted_printable(content: bytes) -> bytes:
    """`content` in RFC 2045 quoted-printable with CRLF; a CR or LF that is not part of a CRLF is encoded too."""
    return b"\r\n".join(_quoted_line(line) for line in content.split(b"\r\n"))


def _quoted_line(line: bytes) -> bytes:
    lines = [b""]
    for position, octet in enumerate(line):
        last = position == len(line) - 1
        plain = 33 <= octet <= 126 and octet != 61 or octet in b" \t" and not last
        token = bytes((octet,)) if plain else b"=%02X" % octet
        if len(lines[-1]) + len(token) > _COMFORTABLE_LINE - 1:
            lines[-1] += b"="
            lines.append(b"")
        lines[-1] += token
    return b"\r\n".join(lines)
