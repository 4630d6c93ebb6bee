"""What people would read of a message: the decoded text of its text parts, bounded."""

from __future__ import annotations

from typing import Final

from quarantine.engines.examined import Examined
from spool.console.mime import body_of, structure_of, text_of

MOST_BYTES: Final = 256 * 1024
MOST_PARTS: Final = 20


def text_of_message(examined: Examined) -> str:
    """HTML parts keep their markup: links are in it. Empty when the message is too large to look into."""
    if examined.size_bytes > examined.max_content_bytes:
        return ""
    structure = structure_of(examined.path)
    texts, left = [], MOST_BYTES
    for part in structure.parts[:MOST_PARTS]:
        if part.content_type not in ("text/plain", "text/html") or left <= 0:
            continue
        raw, _ = body_of(examined.path, part, left)
        left -= len(raw)
        texts.append(text_of(raw, part.charset))
    return "\n".join(texts)
