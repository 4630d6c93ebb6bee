"""Who wants a domain's reports, as its record says: `v=TLSRPTv1; rua=mailto:…,https://…` (RFC 8460 3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

from accounts.addresses import InvalidAddress, normalise_address
from base.dns_texts import tags_of

# Whoever owns a domain names anybody: more would only be to their harm.
MOST: Final = 3
LONGEST: Final = 500
_VERSION: Final = re.compile(r"v=TLSRPTv1[ \t]*(;|$)")


def wanted_by(texts: Sequence[str]) -> tuple[str, ...]:
    """The addresses in the TXT records at `_smtp._tls.`, without those that are of no use; none unless exactly one
    record is of the right kind."""
    records = [text for text in texts if _VERSION.match(text)]
    if len(records) != 1:
        return ()
    named = [one.strip() for one in tags_of(records[0]).get("rua", "").split(",")]
    return tuple(dict.fromkeys(one for one in named if mailbox_of(one) or is_web(one)))[:MOST]


def mailbox_of(uri: str) -> str:
    """The mailbox of a mailto: address (RFC 6068); "" where it is none."""
    if uri[:7].lower() != "mailto:" or len(uri) > LONGEST:
        return ""
    try:
        return normalise_address(unquote(uri[7:].partition("?")[0], errors="strict"))
    except (InvalidAddress, UnicodeDecodeError):
        return ""


def is_web(uri: str) -> bool:
    """Whether it can be posted to."""
    if len(uri) > LONGEST or not uri.isascii() or not uri.isprintable() or " " in uri:
        return False
    try:
        parts = urlsplit(uri)
        return parts.scheme.lower() == "https" and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        return False
