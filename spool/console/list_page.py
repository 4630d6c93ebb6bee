"""What every page with a list of messages has: its frame, its refresh, and the search box above it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from spool.console.pages import is_htmx, page
from spool.console.tabs import tabs_for
from spool.filters import BadFilter
from spool.models import Direction, SavedView


def list_page(request: HttpRequest, url_name: str, title: str, templates: str, context: dict[str, Any]) -> HttpResponse:
    """The page `url_name` by `list.html` of the folder `templates`; its refresh, by `_refresh.html`, has the table and
    the counts of the tabs. `context` is what this list adds; its "values" are what is asked for, by field name.
    """
    here = reverse(url_name)
    frame = {
        "here": here,
        "full_path": f"{here}?{request.GET.urlencode()}",
        "url_name": url_name,
        "now": timezone.now(),
        "directions": [label.lower() for label in Direction.labels],
        "saved": SavedView.objects.filter(user=request.user.pk, page=url_name),
        "open_message": request.GET.get("message", "")[:60],
        **context,
    }
    if is_htmx(request):
        return render(request, f"{templates}/_refresh.html", {**frame, "tabs": tabs_for(request)})
    return page(request, f"{templates}/list.html", title, frame)


def searched(
    request: HttpRequest,
    url_name: str,
    meaning: Callable[[str], Mapping[str, str]],
    check: Callable[[QueryDict], object] | None = None,
) -> HttpResponse | None:
    """The search box: what its words mean becomes conditions in the URL, which the page shows in words; None when it
    was not used. `meaning` gives them by field name; it and `check`, of all conditions together, raise BadFilter.
    """
    text = request.GET.get("q", "").strip()
    if not text:
        return None
    query = request.GET.copy()
    for name in ("q", "after", "before"):
        query.pop(name, None)
    try:
        for name, value in meaning(text).items():
            query[name] = value
        if check is not None:
            check(query)
    except BadFilter as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(f"{reverse(url_name)}?{query.urlencode()}")
