"""The text of a message that may carry a virus: what people would read of it, as plain text and nothing else."""

from __future__ import annotations

from typing import Final

from spool.message import safe_html
from spool.message.charset import text_of
from spool.message.held import Source
from spool.message.structure import Structure, body_of

MOST_BYTES: Final = 128 * 1024
MOST_PARTS: Final = 20


def texts_of(source: Source, structure: Structure) -> list[str]:
    """The text parts in their order, those of HTML without any markup. Raises OSError when the file is gone."""
    readable = [p for p in structure.parts if p.content_type in ("text/plain", "text/html") and not p.is_attachment]
    found = [(part, *body_of(source, part, MOST_BYTES)) for part in readable[:MOST_PARTS]]
    texts = [text_of(raw, part.charset) for part, raw, _ in found]
    rich = [number for number, (part, _, _) in enumerate(found) if part.content_type == "text/html"]
    try:
        without_markup = safe_html.plain([texts[number] for number in rich]) if rich else []
    except safe_html.TooCostly:
        # Their source then: the page shows it as text.
        without_markup = [texts[number] for number in rich]
    for number, text in zip(rich, without_markup, strict=True):
        texts[number] = text
    ends = ["\n[…]" if cut else "" for _, _, cut in found]
    return [text.strip() + end for text, end in zip(texts, ends, strict=True) if text.strip()]
