"""A failed recipient, and finding addresses and codes in what mail servers write."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from spool.dsn.fields import one_line

MOST_RECIPIENTS: Final = 1000
_LONGEST_ADDRESS: Final = 320

# The look-behind keeps the search linear: no match starts inside a run of such characters.
ADDRESS = re.compile(
    r"(?<![^\s<>()\[\]\",:;'=])"
    r"([^\s<>()\[\]\",:;@\\\x00-\x1f]{1,64}|\"[^\"\r\n]{1,62}\")"
    r"@((?:[^\W_](?:[\w-]{0,62})\.){0,20}[^\W_][\w-]{0,62}|\[[0-9A-Za-z:.]{2,60}\])"
)
# Exchange's X.400 names end so: dda:SMTP=ann@example.org
_X400_PREFIX = re.compile(r"(?:smtp|rfc822)=", re.IGNORECASE)
_ENHANCED = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?!\.?\d)")
_REPLY = re.compile(r"(?<![\d.:/-])([45])\d\d(?![\d.:/-])")


@dataclass(frozen=True, slots=True)
class BouncedRecipient:
    """`status` is an RFC 3463 code, or "" when the bounce has none; `diagnostic` is one line of at most 500.

    `also` are the other names that the report has for the recipient.
    """

    address: str
    status: str
    diagnostic: str
    also: tuple[str, ...] = field(default=(), compare=False)


def found_address(text: str) -> str:
    """The first address in `text`, or ""."""
    match = ADDRESS.search(text[:2000])
    return one_line(_X400_PREFIX.sub("", match[0]).rstrip("."), _LONGEST_ADDRESS) if match else ""


def enhanced_code(text: str) -> str:
    """The first RFC 3463 code of a failure in `text`, or ""."""
    match = _ENHANCED.search(text[:4000])
    return match[1] if match else ""


def code_in(text: str) -> str:
    """An RFC 3463 code for what `text` says: written there, or as much as an SMTP reply code tells."""
    if code := enhanced_code(text):
        return code
    match = _REPLY.search(text[:4000])
    return f"{match[1]}.0.0" if match else ""


def unique(failures: Iterable[BouncedRecipient]) -> tuple[BouncedRecipient, ...]:
    """Each address once, as first named, with the reason that tells most; at most MOST_RECIPIENTS."""
    found: dict[str, BouncedRecipient] = {}
    for failure in failures:
        key = failure.address.lower()
        kept = found.get(key)
        if kept is None and len(found) >= MOST_RECIPIENTS:
            break
        if kept is None or _told(failure) > _told(kept):
            found[key] = failure
    return tuple(found.values())


def _told(failure: BouncedRecipient) -> tuple[bool, bool]:
    return bool(failure.status), bool(failure.diagnostic)
