"""Who a header says a message is from, as any reader of mail may understand it (RFC 5322 3.6.2).

Not for delivery: what is not certain is no address here but Unclear, so that nobody is shown whom we did not see.
"""

from __future__ import annotations

import re
from typing import Final

from spool.message.header import Header

# More than any list of authors; what is longer is looked at by nobody.
LONGEST: Final = 16 * 1024
MOST: Final = 50
_BETWEEN: Final = re.compile(r"[\s<>,;:]+")
_IS_LOCAL_PART: Final = re.compile(r"\s*@")


class Unclear(ValueError):
    """A field that readers understand in different ways; the message says what about it."""


def senders(header: Header) -> list[str]:
    """Every address in the From and Sender fields, each once, as written. Raises Unclear."""
    found: dict[str, None] = {}
    for name in ("from", "sender"):
        for value in header.all(name):
            found.update(dict.fromkeys(_addresses(name.capitalize(), value)))
            if len(found) > MOST:
                raise Unclear(f"The message names more than {MOST} senders")
    return list(found)


def of_from(header: Header) -> list[str]:
    """The addresses in the one From field, as written. Raises Unclear, also where there are several or none (3.6)."""
    values = header.all("from")
    if len(values) != 1:
        raise Unclear(f"The message has {len(values) or 'no'} From field{'s' if len(values) > 1 else ''}")
    return _addresses("From", values[0])


def _addresses(name: str, value: bytes) -> list[str]:
    if len(value) > LONGEST:
        raise Unclear(f"The {name} field is longer than {LONGEST // 1024} KB")
    text = " ".join(_without_remarks(name, value.decode("utf-8", "replace")).split())
    # Blanks around it are obsolete, and understood (4.4).
    text = text.replace(" @", "@").replace("@ ", "@")
    found = [word for word in _BETWEEN.split(text) if "@" in word]
    if not found:
        raise Unclear(f"The {name} field has no address")
    return found


def _without_remarks(name: str, text: str) -> str:
    """`text` without comments and quoted names; a quoted local part stays, its blanks and brackets masked."""
    kept: list[str] = []
    depth, at, end = 0, 0, len(text)
    while at < end:
        letter = text[at]
        if depth:
            depth += {"(": 1, ")": -1}.get(letter, 0)
            at += 2 if letter == "\\" else 1
        elif letter == "(":
            depth = 1
            kept.append(" ")
            at += 1
        elif letter == '"':
            closing = _closing_quote(text, at)
            if closing < 0:
                raise Unclear(f"The {name} field has a quote without its end")
            quoted = text[at : closing + 1]
            kept.append(_masked(quoted) if _IS_LOCAL_PART.match(text, closing + 1) else " ")
            at = closing + 1
        else:
            kept.append(letter)
            at += 1
    if depth:
        raise Unclear(f"The {name} field has a comment without its end")
    return "".join(kept)


def _closing_quote(text: str, opening: int) -> int:
    at = opening + 1
    while at < len(text):
        if text[at] == '"':
            return at
        at += 2 if text[at] == "\\" else 1
    return -1


_MASKED: Final = re.compile(r"[\s<>,;:@]")


def _masked(quoted: str) -> str:
    """A quoted local part as one word. One with such letters in it is nobody's of ours."""
    return _MASKED.sub("\ufffd", quoted)
