"""What a DKIM signature may cost (RFC 6376 6.1 lets a verifier have limits): dkimpy reads whatever a sender wrote.

Its expressions go back over runs of blanks: 4 MB of them in a body took hours, within which no other thread of the
process does anything; so did 256 KB in a signature. Bodies are not read by it (dkim_body.py), and signatures that
nobody needs are not looked at.
"""

from __future__ import annotations

import re
from typing import Final

import dkim

# Signatures in use have 400 to 2,000 bytes and name 5 to 30 fields; messages have up to 200.
LONGEST_SIGNATURE: Final = 8 * 1024
MOST_NAMES: Final = 200
MOST_FIELDS: Final = 2_000
_LONG_RUN: Final = re.compile(rb"\s{100}")


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
