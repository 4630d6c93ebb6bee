"""The tabs above the spool's pages, named in settings (SPOOL_CONSOLE_TABS), with live counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _lazy

from accounts.templatetags.reach import opens
from base.texts import Text
from spool.console.columns import OF_ENTRIES, Choosable
from spool.filters import Count, SpoolFilter, count
from spool.models import Status

# Where a request has the counts that are known already.
_COUNTED: Final = "mailspool.counted"


@dataclass(frozen=True, slots=True)
class Tab:
    """One page of the section. `count` gives what its badge says, or is None for a page that counts nothing.

    `columns` are those of its list, for everybody to choose from; None where it has no list.
    """

    title: Text
    url_name: str
    count: Callable[[], Count] | None = None
    columns: Choosable | None = None


@dataclass(frozen=True, slots=True)
class ShownTab:
    """A tab as the template draws it."""

    title: Text
    link: str
    count: str = ""
    # The same number in full, where `count` is short for it.
    exactly: str = ""
    current: bool = False


def _all() -> Count:
    return count(SpoolFilter())


def _waiting() -> Count:
    return count(SpoolFilter(status=Status.WAITING.value))


SPOOL = Tab(_lazy("Spool"), "admin:spool_entry_changelist", _all, OF_ENTRIES)
WAITING = Tab(_lazy("Waiting to Deliver"), "admin:spool_entry_waiting", _waiting, OF_ENTRIES)
BACKLOG = Tab(_lazy("Backlog map"), "admin:spool_entry_backlog")


def titles() -> dict[str, Text]:
    """The titles of all tabs, by the name of their URL."""
    return {tab.url_name: tab.title for tab in _tabs()}


def has_columns(url_name: str) -> bool:
    """Whether that is the page of a list whose columns are chosen."""
    return any(tab.url_name == url_name and tab.columns for tab in _tabs())


def columns_of(url_name: str) -> Choosable:
    """What the list on that page can show. Raises KeyError when it has no such list."""
    return {tab.url_name: tab.columns for tab in _tabs() if tab.columns}[url_name]


def _tabs() -> list[Tab]:
    return [import_string(path) for path in settings.SPOOL_CONSOLE_TABS]


def counted(request: HttpRequest, url_name: str, number: Count) -> None:
    """The page itself knows what its tab says: it is not counted twice."""
    request.META[_COUNTED] = {**request.META.get(_COUNTED, {}), url_name: number}


def tabs_for(request: HttpRequest, here: str = "") -> list[ShownTab]:
    """All tabs that this person opens, with their counts. `here` is the link of the open one, where the path is not."""
    known: dict[str, Count] = request.META.get(_COUNTED, {})
    shown = []
    for tab in _tabs():
        if not opens(request, tab.url_name):
            continue
        link = reverse(tab.url_name)
        found = known.get(tab.url_name) or (tab.count() if tab.count else None)
        count, exactly = (found.short, str(found)) if found is not None else ("", "")
        shown.append(ShownTab(tab.title, link, count, exactly, link == (here or request.path)))
    return shown
