"""What the frame of every page of the console has besides the sidebar (UNFOLD["GLOBAL_CALLBACK"])."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from mailspool import navigation
from mailspool.attention import items as attention
from spool.console.tabs import ShownTab, tabs_for


def of_page(request: HttpRequest) -> dict[str, Any]:
    """What needs attention, how much of it for the title, the tabs, and the shortcuts. Nothing for who sees no page."""
    if not admin.site.has_permission(request):
        return {}
    return {**attention.of_page(request), **_tabs(request), "shortcuts": navigation.shortcuts(request)}


def _tabs(request: HttpRequest) -> dict[str, Any]:
    """The pages that stand beside this one."""
    place = navigation.place_of(request.path)
    if place is None:
        return {"tabs": []}
    if place.entry.counts:
        return {"tabs": tabs_for(request, navigation.link_to(place.page) or ""), "tabs_label": place.entry.title}
    linked = navigation.links_of(request, place.entry)
    tabs = [ShownTab(page.title, link, current=page is place.page) for page, link in linked]
    return {"tabs": tabs if len(tabs) > 1 else [], "tabs_label": place.entry.title}
