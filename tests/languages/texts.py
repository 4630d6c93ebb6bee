"""What a page says: its texts, and what assistive programs read out."""

from __future__ import annotations

from html.parser import HTMLParser

_SPOKEN = ("aria-label", "placeholder", "title", "data-label", "data-known", "data-unused")
_UNSEEN = ("script", "style", "template")


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[str] = []
        self._icon = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        if tag in _UNSEEN:
            self._open.append(tag)
        self._icon = "material-symbols-outlined" in (named.get("class") or "")
        self.found += [named[name] or "" for name in _SPOKEN if named.get(name)]

    def handle_endtag(self, tag: str) -> None:
        self._icon = False
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if not self._open and not self._icon and data.strip():
            self.found.append(" ".join(data.split()))


def texts_of(page: str) -> list[str]:
    """In their order; names of icons are left out."""
    reader = _Texts()
    reader.feed(page)
    return reader.found
