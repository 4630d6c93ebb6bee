"""A message as a page that can do nothing: no scripts, forms, links or requests to anybody.

What is active is removed (spool.message.safe_html), the Content-Security-Policy of the answer forbids the rest, and the
frame that shows it is sandboxed. Images come from the message itself (RFC 2392 `cid:`) or not at all.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass

from spool.message import safe_html
from spool.message.charset import text_of
from spool.message.held import Source
from spool.message.structure import Part, Structure, body_of

POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
MOST_TEXT_BYTES = 512 * 1024
MOST_IMAGE_BYTES = 4 * 1024 * 1024
# An SVG is a document of its own and stays out.
_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"})
_STYLE_SHEET = (
    "html{background:#fff;color:#1f2937;font:15px/1.55 Inter,system-ui,sans-serif;overflow-wrap:anywhere}"
    "body{margin:16px}img{max-width:100%;height:auto}pre{white-space:pre-wrap;font:13px/1.55 ui-monospace,monospace;"
    "margin:0}a{color:#1d4ed8;text-decoration:underline}table{max-width:100%}"
    ".note{color:#6b7280;font-size:13px;margin:0 0 12px}"
)


@dataclass(frozen=True, slots=True)
class Preview:
    """A whole HTML document, and what was taken out of it."""

    document: str
    links: Sequence[str] = ()
    remote_images: int = 0


def preview_of(source: Source, structure: Structure) -> Preview:
    """The readable part of the message in `source`. Raises OSError when the file is gone."""
    rich = structure.first("text/html")
    if rich is not None:
        return _from_html(source, structure, rich)
    plain = structure.first("text/plain")
    if plain is None:
        return Preview(_document('<p class="note">This message has no text to show; see its attachments.</p>'))
    raw, cut = body_of(source, plain, MOST_TEXT_BYTES)
    return Preview(_document(_cut_note(cut) + f"<pre>{html.escape(text_of(raw, plain.charset))}</pre>"))


def _from_html(source: Source, structure: Structure, part: Part) -> Preview:
    raw, cut = body_of(source, part, MOST_TEXT_BYTES)
    text = text_of(raw, part.charset)
    try:
        safe = safe_html.cleaned(text, _images(source, structure) if "cid:" in text.lower() else {})
    except safe_html.TooCostly:
        note = '<p class="note">This HTML takes too long to be made safe. Here is its source.</p>'
        return Preview(_document(f"{note}<pre>{html.escape(text)}</pre>"))
    return Preview(_document(_cut_note(cut) + safe.body), safe.links, safe.remote_images)


def _images(source: Source, structure: Structure) -> dict[str, str]:
    """The pictures that a message brings along, as data: URLs by Content-ID, of a bounded size in all."""
    images: dict[str, str] = {}
    room = MOST_IMAGE_BYTES
    for part in structure.parts:
        size = part.end - part.start
        if part.content_id and part.content_type in _IMAGES and size <= room and part.content_id not in images:
            raw, _ = body_of(source, part, MOST_IMAGE_BYTES)
            images[part.content_id] = f"data:{part.content_type};base64,{base64.b64encode(raw).decode()}"
            room -= size
    return images


def _cut_note(cut: bool) -> str:
    return '<p class="note">Only the beginning of this long text is shown.</p>' if cut else ""


def _document(body: str) -> str:
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Message text</title>'
        f"<style>{_STYLE_SHEET}</style></head><body>{body}</body></html>"
    )
