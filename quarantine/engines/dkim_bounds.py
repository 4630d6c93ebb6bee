"""What a DKIM signature may cost (RFC 6376 6.1 lets a verifier have limits): dkimpy reads whatever a sender wrote.

Its expressions go back over runs of blanks: 4 MB of them in a body took hours, within which no other thread of the
process does anything; so did 256 KB in a signature. The one for bodies is replaced here by one that reads a run once,
and signatures that nobody needs are not looked at.
"""

from __future__ import annotations

import re
from typing import Final

import dkim
import dkim.canonicalization

# Signatures in use have 400 to 2,000 bytes and name 5 to 30 fields; messages have up to 200.
LONGEST_SIGNATURE: Final = 8 * 1024
MOST_NAMES: Final = 200
MOST_FIELDS: Final = 2_000
_LONG_RUN: Final = re.compile(rb"\s{100}")
# No match begins within a run.
_TRAILING_BLANKS: Final = re.compile(rb"(?<![\t ])[\t ]+\r\n")


def excess(message: dkim.DKIM, signature: bytes) -> str:
    """Why this signature of a message is not looked at; "" when it is."""
    if len(signature) > LONGEST_SIGNATURE:
        return f"a signature of more than {LONGEST_SIGNATURE // 1024} KB"
    if _LONG_RUN.search(signature):
        return "a signature with hundreds of blanks in a row"
    if signature.count(b":") > MOST_NAMES:
        return f"a signature of more than {MOST_NAMES} fields"
    if len(message.headers) > MOST_FIELDS:
        return f"a header of more than {MOST_FIELDS} fields"
    return ""


def _without_trailing_blanks(body: bytes) -> bytes:
    """RFC 6376 3.4.4: blanks at the ends of lines do not count."""
    return _TRAILING_BLANKS.sub(b"\r\n", body)


dkim.canonicalization.strip_trailing_whitespace = _without_trailing_blanks
