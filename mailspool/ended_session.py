"""Who was signed out while a page was open: it is told so, instead of getting the login page in the place of a part.

The page then asks to sign in again in another tab, and what was typed into it stays (static/mailspool/session.js).
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

View = Callable[[HttpRequest], HttpResponse]


class EndedSession:
    """Middleware: a part of a page that is asked for without a session is answered by 401 (RFC 9110 15.5.2)."""

    def __init__(self, get_response: View) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if (
            request.headers.get("HX-Request") == "true"
            and response.status_code == 302
            and response.headers.get("Location", "").partition("?")[0] in _logins()
        ):
            return HttpResponse(_("The session has ended: sign in again."), status=401, content_type="text/plain")
        return response


def _logins() -> tuple[str, str]:
    return reverse("admin:login"), reverse("portal:login")


@require_GET
@never_cache
def session(request: HttpRequest) -> JsonResponse:
    """Who is signed in, and the token of this session's forms; nothing of either without a session."""
    if not request.user.is_authenticated:
        return JsonResponse({"user": ""})
    return JsonResponse({"user": str(request.user.pk), "name": str(request.user), "token": get_token(request)})


@require_GET
@never_cache
def signed_in(request: HttpRequest) -> HttpResponse:
    """Where the login leads that a page has asked for in another tab."""
    return render(request, "mailspool/session/signed_in.html", {"title": _("Signed in"), "site_title": "Mailspool"})
