"""What people would read of a message: the decoded text of its text parts, bounded."""

from __future__ import annotations

from typing import Final

from quarantine.engines.examined import Examined
from spool.message.charset import text_of as decoded
from spool.message.structure import body_in, structure_in

MOST_BYTES: Final = 256 * 1024
MOST_PARTS: Final = 20


async def text_of(examined: Examined) -> str:
    """The text, found once for all checks that want it."""
    return str(await examined.once("text", lambda: examined.off_loop(lambda: text_of_message(examined))))


def text_at_once(examined: Examined) -> str:
    """The same of a small message, where nobody has to wait for it."""
    known = examined.known("text")
    if known is None:
        known = text_of_message(examined)
        examined.tell("text", known)
    return str(known)


def text_of_message(examined: Examined) -> str:
    """HTML parts keep their markup: links are in it. Empty when the message is too large to look into."""
    content = examined.content
    if content is None:
        return ""
    structure = structure_in(content, examined.fields)
    texts, left = [], MOST_BYTES
    for part in structure.parts[:MOST_PARTS]:
        if part.content_type not in ("text/plain", "text/html") or left <= 0:
            continue
        raw = body_in(content, part, left)
        left -= len(raw)
        texts.append(decoded(raw, part.charset))
    return "\n".join(texts)
