"""No page is asked for with a null character: no keyboard types one, and PostgreSQL's text has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest, HttpResponse

from mailspool.error_pages import unreadable

_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


class NullCharacters:
    """Middleware, before any that asks the database. What a form sends is looked at when Django has read it anyway."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            return unreadable(request)
        return self._get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        """Those of forms; a file that is sent along may have any."""
        if request.content_type not in _FORMS:
            return None
        if any("\0" in text for name, values in request.POST.lists() for text in (name, *values)):
            return unreadable(request)
        return None
