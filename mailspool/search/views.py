"""The list below the field, for what is typed so far."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from accounts.templatetags.reach import opens
from mailspool.menus.items import items_for_messages, items_of, query_of
from mailspool.search import accounts, destinations, messages, pages, settings
from mailspool.search.results import Group, Result
from spool.console.pages import actor_of

LONGEST: Final = 320
# With fewer letters than this too much begins, and little of it is meant.
SHORTEST: Final = 2
MOST_ACTIONS: Final = 9


@require_GET
def results(request: HttpRequest) -> HttpResponse:
    """Groups of what was found, in a listbox."""
    text = request.GET.get("q", "")[:LONGEST].replace("\0", "").strip()
    found = _groups(request, text) if len(text) >= SHORTEST else []
    return render(request, "mailspool/search/_results.html", {"groups": found, "text": text, "shortest": SHORTEST})


def _groups(request: HttpRequest, text: str) -> list[Group]:
    thing = messages.meant(text)
    groups = [
        Group(_("Accounts"), accounts.matching(request, text) if " " not in text else []),
        Group(_("Messages"), messages.matching(request, text, thing)),
        Group(_("Actions"), _actions(request, thing)),
        Group(_("Destinations"), destinations.matching(request, text)),
        Group(_("Pages"), pages.matching(request, text)),
        Group(_("Settings"), settings.matching(request, text)),
    ]
    return [group for group in groups if group.results]


def _actions(request: HttpRequest, thing: messages.Meant | None) -> list[Result]:
    """The menu of the thing that was found; without what only a form of its own can send."""
    if thing is None or thing.thing is None or not opens(request, "thing_menu"):
        return []
    kind, key = thing.thing
    items = items_of(kind, key, actor_of(request))
    if items and (query := query_of(kind, key)):
        items += items_for_messages(query)
    shown = [item for item in items if item.url or item.link]
    return [
        Result(item.label.removesuffix("…"), item.icon, key, item.link, item.url, item.vals, item.danger)
        for item in shown[:MOST_ACTIONS]
    ]
