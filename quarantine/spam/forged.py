"""Header fields that only this server may write, found in mail that comes in (RFC 8601 5): they are lies.

They are left out of what is delivered. The spooled message keeps them, and so do the checks: DKIM looks at what came.
"""

from __future__ import annotations

import re
from typing import Final

from django.conf import settings as django_settings

from spool.delivery.trace_headers import fields_of

# Those that `spam.headers_of` adds.
_SCORES: Final = frozenset((b"x-spam-flag", b"x-spam-level", b"x-spam-score", b"x-spam-status", b"x-spam-unchecked"))
_RESULTS: Final = b"authentication-results"
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')


def forged_in(header: bytes) -> frozenset[bytes]:
    """The fields to leave out, whole, with LF line ends. `header` are the header lines of a message from outside."""
    text = header.lower()
    if b"x-spam-" not in text and _RESULTS not in text:
        return frozenset()
    return frozenset(field for field in fields_of(header) if _is_forged(field))


def _is_forged(field: bytes) -> bool:
    name, _, value = field.partition(b":")
    name = name.strip().lower()
    if name in _SCORES:
        return True
    return (
        name == _RESULTS and authserv_id(value.decode("utf-8", "replace")) == django_settings.MAILSPOOL_HOSTNAME.lower()
    )


def authserv_id(value: str) -> str:
    """Who has written the results, in lower case: the first word that is no comment (RFC 8601 2.2), perhaps quoted."""
    text = _without_comment(value.strip())
    if found := _QUOTED.match(text):
        return re.sub(r"\\(.)", r"\1", found[1]).strip().lower()
    return re.split(r"[\s;(]", text, maxsplit=1)[0].rstrip(".").lower()


def _without_comment(text: str) -> str:
    """`text` without the comments at its beginning, which may be nested (RFC 5322 3.2.2)."""
    depth, escaped = 0, False
    for position, letter in enumerate(text):
        if escaped:
            escaped = False
        elif letter == "\\" and depth:
            escaped = True
        elif letter == "(":
            depth += 1
        elif letter == ")" and depth:
            depth -= 1
        elif not depth and not letter.isspace():
            return text[position:]
    return ""
