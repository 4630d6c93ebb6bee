"""By which window each table is sorted: the page's address says it by the table's name; 24 hours where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

from mailspool.overview.tables import OF_DELIVERIES, WINDOWS, WINDOWS_BY_NAME, Window

# Both tables of those who hand in are sorted alike, and by what is now.
SUBMITTERS_NAME = "handing-in"
SUBMITTER_WINDOWS = WINDOWS[:3]
_USUAL = {SUBMITTERS_NAME: WINDOWS_BY_NAME["5m"]}
_DAY = WINDOWS_BY_NAME["24h"]


@dataclass(frozen=True, slots=True)
class Header:
    """The head of a column of numbers; `is_current` when the table is sorted by it."""

    window: Window
    link: str
    is_current: bool


class Sorting:
    """What the address of the page says; `link` makes another one, in which one thing is different."""

    def __init__(self, query: QueryDict) -> None:
        self._given = {
            name: str(query[name]) for name in (*OF_DELIVERIES, SUBMITTERS_NAME) if query.get(name) in WINDOWS_BY_NAME
        }
        if query.get("range"):
            self._given["range"] = str(query["range"])

    def window(self, table: str) -> Window:
        """The one by which a table is sorted."""
        return WINDOWS_BY_NAME.get(self._given.get(table, ""), _USUAL.get(table, _DAY))

    def headers(self, table: str, windows: Sequence[Window] = WINDOWS) -> list[Header]:
        """The heads of its columns."""
        current = self.window(table)
        return [Header(window, self.link(table, window.name), window is current) for window in windows]

    def link(self, name: str, value: str) -> str:
        return f"{reverse('admin:index')}?{urlencode(self._given | {name: value})}"
