"""What people would read of a message: the decoded text of its text parts, bounded; and what that leaves out.

Whoever knows a bound can put text behind it. That something was not looked at is a result too: it is shown with what
the rules say, and can have a weight of its own (CheckKind.UNREAD).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from quarantine.engines.examined import Examined
from spool.message.charset import text_of as decoded
from spool.message.structure import body_in, structure_in

MOST_BYTES: Final = 256 * 1024
MOST_PARTS: Final = 20
# How what was not looked at begins, in results.
NOT_LOOKED_AT: Final = "not looked at: "


@dataclass(frozen=True, slots=True)
class ReadText:
    """The text, and what of it was not looked at, in a few words; "" when all was."""

    text: str
    unread: str = ""


async def read(examined: Examined) -> ReadText:
    """What is read of a message, once for all checks that want it."""
    found: ReadText = await examined.once("text", lambda: examined.off_loop(lambda: read_message(examined)))
    return found


def read_at_once(examined: Examined) -> ReadText:
    """The same of a small message, where nobody has to wait for it."""
    known: ReadText | None = examined.known("text")
    if known is None:
        known = read_message(examined)
        examined.tell("text", known)
    return known


def unread_of(examined: Examined) -> str:
    """What was not looked at of a message that was read; "" when all was, or none has read it."""
    known: ReadText | None = examined.known("text")
    return f"{NOT_LOOKED_AT}{known.unread}" if known is not None and known.unread else ""


def read_message(examined: Examined) -> ReadText:
    """HTML parts keep their markup: links are in it. Nothing when the message is too large to look into."""
    content = examined.content
    if content is None:
        return ReadText("", f"it is larger than {examined.max_content_bytes // 1024} KB")
    structure = structure_in(content, examined.fields)
    texts, left, unread = [], MOST_BYTES, 0
    readable = [part.content_type in ("text/plain", "text/html") for part in structure.parts]
    for part, is_text in zip(structure.parts[:MOST_PARTS], readable, strict=False):
        if not is_text:
            continue
        if part.end - part.start > left:
            unread += 1
        if left <= 0:
            continue
        raw = body_in(content, part, left)
        left -= len(raw)
        texts.append(decoded(raw, part.charset))
    reasons = []
    if unread:
        reasons.append(f"text beyond {MOST_BYTES // 1024} KB")
    if more := sum(readable[MOST_PARTS:]):
        reasons.append(f"{more} text part{'s' if more > 1 else ''} after the first {MOST_PARTS} parts")
    if structure.cut:
        reasons.append("parts beyond what is taken apart")
    return ReadText("\n".join(texts), ", ".join(reasons))
