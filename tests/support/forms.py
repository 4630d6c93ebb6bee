"""What the forms of the console send: for fields that a test is not about, and as a browser would send them."""

from __future__ import annotations

from html.parser import HTMLParser

# Of users, lists, domains and their templates: no limit by the hour.
UNLIMITED: dict[str, object] = {
    "messages_per_hour": 0,
    "messages_action": "delay",
    "bandwidth_mb_per_hour": 0,
    "bandwidth_action": "delay",
    "recipients_per_hour": 0,
    "recipients_action": "delay",
}


class _Fields(HTMLParser):
    """Collects what a browser would send of each form, in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, list[str]]] = []
        self._select = ""
        self._text: tuple[str, list[str]] | None = None
        self._first = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.forms.append({})
        elif tag == "input":
            kind = given.get("type", "text")
            if kind in ("submit", "button", "file") or (kind in ("checkbox", "radio") and "checked" not in given):
                return
            self._add(given.get("name", ""), given.get("value", "on" if kind in ("checkbox", "radio") else ""))
        elif tag == "select":
            self._select, self._first = given.get("name", ""), "\0"
        elif tag == "option" and self._select:
            if self._first == "\0":
                self._first = given.get("value", "")
            if "selected" in given:
                self._add(self._select, given.get("value", ""))
                self._first = ""
        elif tag == "textarea":
            self._text = (given.get("name", ""), [])

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._text is not None:
            name, parts = self._text
            # The first end of a line belongs to the tag; the others are sent as CRLF.
            self._add(name, "".join(parts).removeprefix("\n").replace("\r\n", "\n").replace("\n", "\r\n"))
            self._text = None
        elif tag == "select":
            if self._first not in ("", "\0"):
                self._add(self._select, self._first)
            self._select = ""

    def _add(self, name: str, value: str) -> None:
        if name and self.forms:
            self.forms[-1].setdefault(name, []).append(value)


def as_sent(page: str) -> dict[str, list[str]]:
    """What a browser sends of the page's form that edits something: it also says what it showed."""
    found = _Fields()
    found.feed(page)
    return next(form for form in found.forms if any(name.startswith("initial-") for name in form))


def form_with(page: str, name: str) -> dict[str, list[str]]:
    """What a browser sends of the page's form that has the input `name`; also one that is empty."""
    found = _Fields()
    found.feed(page)
    return next(form for form in found.forms if name in form)
