"""A message as a page that can do nothing: no scripts, forms, links or requests to anybody.

nh3 removes what is active, the Content-Security-Policy of the answer forbids the rest, and the frame that shows it is
sandboxed. Images come from the message itself (RFC 2392 `cid:`) or not at all.
"""

from __future__ import annotations

import base64
import html
import re
from dataclasses import dataclass, field
from pathlib import Path

import nh3

from spool.message.charset import text_of
from spool.message.structure import Part, Structure, body_of

POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
MOST_TEXT_BYTES = 512 * 1024
MOST_IMAGE_BYTES = 4 * 1024 * 1024
MOST_LINKS = 50
# Cleaning takes time with the square of the depth: 100,000 nested elements would take a minute.
MOST_LEVELS = 400
_REACHES_OUT = re.compile(r"(?i)url|expression|image|\\\\|@")
_TAG = re.compile(r"<(/?)([a-zA-Z]+)")
# The last six have end tags that may be left out.
_EMPTY = "area base br col embed hr img input link meta param source track wbr p li td tr th option"
# An SVG is a document of its own and stays out.
_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"})
_TAGS = (
    "a abbr address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del dfn div dl"
    " dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p pre q s samp"
    " section small span strike strong sub sup table tbody td tfoot th thead time tr tt u ul var wbr"
)
_ATTRIBUTES = {
    "*": {"style", "dir", "lang", "title", "align", "valign", "bgcolor", "color"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "font": {"face", "size"},
    "table": {"width", "border", "cellpadding", "cellspacing"},
    "td": {"width", "height", "colspan", "rowspan"},
    "th": {"width", "height", "colspan", "rowspan"},
    "ol": {"start", "type"},
}
_STYLES = (
    "color background-color font-family font-size font-style font-weight line-height letter-spacing text-align"
    " text-decoration text-transform vertical-align white-space width max-width height padding padding-top"
    " padding-right padding-bottom padding-left margin margin-top margin-right margin-bottom margin-left border"
    " border-top border-right border-bottom border-left border-color border-style border-width border-radius"
    " border-collapse border-spacing display list-style-type"
)
_STYLE_SHEET = (
    "html{background:#fff;color:#1f2937;font:15px/1.55 Inter,system-ui,sans-serif;overflow-wrap:anywhere}"
    "body{margin:16px}img{max-width:100%;height:auto}pre{white-space:pre-wrap;font:13px/1.55 ui-monospace,monospace;"
    "margin:0}a{color:#1d4ed8;text-decoration:underline}table{max-width:100%}"
    ".note{color:#6b7280;font-size:13px;margin:0 0 12px}"
)


@dataclass(slots=True)
class Preview:
    """A whole HTML document, and what was taken out of it."""

    document: str
    links: list[str] = field(default_factory=list)
    remote_images: int = 0


def preview_of(path: Path, structure: Structure) -> Preview:
    """The readable part of the message in `path`. Raises OSError when the file is gone."""
    rich = structure.first("text/html")
    if rich is not None:
        return _from_html(path, structure, rich)
    plain = structure.first("text/plain")
    if plain is None:
        return Preview(_document('<p class="note">This message has no text to show; see its attachments.</p>'))
    raw, cut = body_of(path, plain, MOST_TEXT_BYTES)
    return Preview(_document(_cut_note(cut) + f"<pre>{html.escape(text_of(raw, plain.charset))}</pre>"))


def _from_html(path: Path, structure: Structure, part: Part) -> Preview:
    raw, cut = body_of(path, part, MOST_TEXT_BYTES)
    shown = Preview("")
    images = _Images(path, structure)

    def keep(tag: str, attribute: str, value: str) -> str | None:
        if tag == "a" and attribute == "href":
            if len(shown.links) < MOST_LINKS and value not in shown.links:
                shown.links.append(value[:500])
            return None
        if tag == "img" and attribute == "src":
            if value.lower().startswith("cid:"):
                return images.as_data(value[4:])
            shown.remote_images += 1
            return None
        if attribute == "style" and _REACHES_OUT.search(value):
            return None
        return value

    text = text_of(raw, part.charset)
    if _depth(text) > MOST_LEVELS:
        note = '<p class="note">This HTML is nested too deeply to be shown; here is its source.</p>'
        return Preview(_document(f"{note}<pre>{html.escape(text)}</pre>"))
    cleaned = nh3.clean(
        text, tags=set(_TAGS.split()), attributes={k: set(v) for k, v in _ATTRIBUTES.items()},
        attribute_filter=keep, url_schemes={"cid", "data", "http", "https", "mailto", "tel"}, link_rel=None,
        filter_style_properties=set(_STYLES.split()), strip_comments=True,
    )  # fmt: skip
    shown.document = _document(_cut_note(cut) + cleaned)
    return shown


def _depth(text: str) -> int:
    """How deeply elements are nested at most, roughly: what may stay open is not counted."""
    empty = set(_EMPTY.split())
    deepest = depth = 0
    for close, name in _TAG.findall(text):
        if name.lower() not in empty:
            depth = max(0, depth - 1) if close else depth + 1
            deepest = max(deepest, depth)
    return deepest


class _Images:
    """The pictures that a message brings along, as data: URLs of a bounded size in all."""

    def __init__(self, path: Path, structure: Structure) -> None:
        self._path = path
        self._parts = {p.content_id: p for p in structure.parts if p.content_id and p.content_type in _IMAGES}
        self._room = MOST_IMAGE_BYTES

    def as_data(self, content_id: str) -> str | None:
        part = self._parts.get(content_id.strip())
        if part is None or part.end - part.start > self._room:
            return None
        raw, _ = body_of(self._path, part, MOST_IMAGE_BYTES)
        self._room -= part.end - part.start
        return f"data:{part.content_type};base64,{base64.b64encode(raw).decode()}"


def _cut_note(cut: bool) -> str:
    return '<p class="note">Only the beginning of this long text is shown.</p>' if cut else ""


def _document(body: str) -> str:
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Message text</title>'
        f"<style>{_STYLE_SHEET}</style></head><body>{body}</body></html>"
    )
