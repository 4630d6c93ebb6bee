"""The tabs above the spool's pages, named in settings (SPOOL_CONSOLE_TABS), with live counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.module_loading import import_string

from accounts.templatetags.reach import opens
from spool.filters import Count, SpoolFilter, count
from spool.models import Status


@dataclass(frozen=True, slots=True)
class Tab:
    """One page of the section. `count` gives what its badge says, or is None for a page that counts nothing."""

    title: str
    url_name: str
    count: Callable[[], Count] | None = None


@dataclass(frozen=True, slots=True)
class ShownTab:
    """A tab as the template draws it."""

    title: str
    link: str
    count: str = ""
    # The same number in full, where `count` is short for it.
    exactly: str = ""
    current: bool = False


def _all() -> Count:
    return count(SpoolFilter())


def _waiting() -> Count:
    return count(SpoolFilter(status=Status.WAITING.value))


SPOOL = Tab("Spool", "admin:spool_entry_changelist", _all)
WAITING = Tab("Waiting to Deliver", "admin:spool_entry_waiting", _waiting)
BACKLOG = Tab("Backlog map", "admin:spool_entry_backlog")


def titles() -> dict[str, str]:
    """The titles of all tabs, by the name of their URL."""
    tabs: list[Tab] = [import_string(path) for path in settings.SPOOL_CONSOLE_TABS]
    return {tab.url_name: tab.title for tab in tabs}


def tabs_for(request: HttpRequest, here: str = "") -> list[ShownTab]:
    """All tabs that this person opens, with their counts. `here` is the link of the open one, where the path is not."""
    shown = []
    for path in settings.SPOOL_CONSOLE_TABS:
        tab: Tab = import_string(path)
        if not opens(request, tab.url_name):
            continue
        link = reverse(tab.url_name)
        found = tab.count() if tab.count else None
        count, exactly = (found.short, str(found)) if found is not None else ("", "")
        shown.append(ShownTab(tab.title, link, count, exactly, link == (here or request.path)))
    return shown
