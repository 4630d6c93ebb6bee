"""What every page with a list of messages has: its frame, its refresh, and the search box above it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from base.texts import Text
from spool.console.listing import Listing
from spool.console.pages import is_htmx, page
from spool.console.tabs import counted, tabs_for
from spool.filters import BadFilter
from spool.models import Direction, SavedView


def list_page(
    request: HttpRequest,
    url_name: str,
    title: Text,
    templates: str,
    context: Callable[[], dict[str, Any]],
    meaning: Callable[[str], Mapping[str, str]],
    check: Callable[[QueryDict], object],
) -> HttpResponse:
    """The page `url_name` by `list.html` of the folder `templates`; its refresh, by `_refresh.html`, has the table and
    the counts of the tabs. `context` gives what this list adds; its "listing" is the page of messages, its "values" are
    what is asked for, by field name.

    What was typed into the search box becomes conditions in the URL, which the page shows in words: `meaning` gives
    them by field name; it and `check`, of all conditions together, raise BadFilter. What means nothing stays typed, and
    the list shows the reason instead of messages.
    """
    typed = request.GET.get("q", "").strip()
    refused = ""
    if typed:
        try:
            return _with_conditions(request, reverse(url_name), meaning(typed), check)
        except BadFilter as problem:
            refused = str(problem)
    here = reverse(url_name)
    frame = {
        "here": here,
        "full_path": f"{here}?{request.GET.urlencode()}",
        "url_name": url_name,
        "now": timezone.now(),
        "directions": [label.lower() for label in Direction.labels],
        "saved": SavedView.objects.filter(user=request.user.pk, page=url_name),
        "open_message": request.GET.get("message", "")[:60],
        "typed": typed,
        "refused": refused,
        **context(),
    }
    listing: Listing[Any] = frame["listing"]
    if not listing.conditions and not listing.error and listing.complete:
        counted(request, url_name, listing.count)
    if is_htmx(request):
        return render(request, f"{templates}/_refresh.html", {**frame, "tabs": tabs_for(request)})
    return page(request, f"{templates}/list.html", title, frame)


def _with_conditions(
    request: HttpRequest, here: str, conditions: Mapping[str, str], check: Callable[[QueryDict], object]
) -> HttpResponse:
    """The list with these conditions besides those that it has. Raises BadFilter."""
    query = request.GET.copy()
    for name in ("q", "after", "before", "patient"):
        query.pop(name, None)
    for name, value in conditions.items():
        query[name] = value
    check(query)
    return HttpResponseRedirect(f"{here}?{query.urlencode()}")
