"""Dangerous steps are for who has proved lately to be the owner of the session (accounts.sign_in.dangerous)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.session_keys import IMPERSONATOR_KEY
from accounts.sign_in import dangerous, session
from mailspool.portal.sign_in.confirmation import asking


class ProofGate:
    """Middleware after the other gates: whom a page is not for is told that first. Costs no query."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        """The question, or None to go on. Raises PermissionDenied in another's place: nobody can answer there."""
        found = request.resolver_match
        if (
            found is None
            or found.view_name not in dangerous.STEPS
            or settings.SESSION_COOKIE_NAME not in request.COOKIES
            or not dangerous.asks(found.view_name, request.method or "", {**request.POST.dict(), **kwargs})
            or not isinstance(request.user, User)
            or session.recent_enough(request)
        ):
            return None
        if IMPERSONATOR_KEY in request.session:
            raise PermissionDenied(_("Nobody does that in another's place."))
        link = asking(_page_of(request))
        if request.headers.get("HX-Request") == "true":
            return render(request, "mailspool/menus/_prove.html", {"next": _page_of(request)})
        return HttpResponseRedirect(link)


def _page_of(request: HttpRequest) -> str:
    """The page to come back to: what was sent is not sent again by itself."""
    if request.method == "GET":
        return request.get_full_path()
    if named := request.POST.get("next", ""):
        return named
    # Only its place on this site: where that leads is looked at before anybody is led there.
    page = urlsplit(request.headers.get("HX-Current-URL") or request.headers.get("Referer", ""))
    return f"{page.path}?{page.query}" if page.query else page.path
