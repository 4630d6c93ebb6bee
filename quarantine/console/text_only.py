"""The text of a message that may carry a virus: what people would read of it, as plain text and nothing else."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Final

import nh3

from spool.message.charset import text_of
from spool.message.structure import Structure, body_of

MOST_BYTES: Final = 128 * 1024
MOST_PARTS: Final = 20


def texts_of(path: Path, structure: Structure) -> list[str]:
    """The text parts in their order, those of HTML without any markup. Raises OSError when the file is gone."""
    readable = [p for p in structure.parts if p.content_type in ("text/plain", "text/html") and not p.is_attachment]
    texts = []
    for part in readable[:MOST_PARTS]:
        raw, cut = body_of(path, part, MOST_BYTES)
        text = text_of(raw, part.charset)
        if part.content_type == "text/html":
            text = html.unescape(nh3.clean(text, tags=set(), clean_content_tags={"script", "style"}))
        text = text.strip()
        if text:
            texts.append(f"{text}\n[…]" if cut else text)
    return texts
