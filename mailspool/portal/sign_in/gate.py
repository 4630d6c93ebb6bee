"""Who needs a second factor and has shown none gets no further than the page where it is set up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.sign_in import factors, session
from mailspool.portal.sign_in import confirmation

# What is open without: setting one up, proving who that is, and going away.
OPEN = frozenset(
    (
        "portal:sign_in",
        "portal:add_app",
        "portal:add_passkey",
        "portal:passkey_to_add",
        "portal:confirm",
        "portal:confirm_passkey",
        "portal:provider",
        "portal:provider_back",
        "portal:login",
        "portal:logout",
        "admin:login",
        "admin:logout",
        "admin:jsi18n",
    )
)
NEEDED = _("Your role needs a second factor. Set one up to go on.")


class SecondFactorGate:
    """Middleware after authentication. What the login has found out costs no query here."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
        if not has_session or not session.needs_second_factor(request.session) or not isinstance(request.user, User):
            return None
        name = request.resolver_match.view_name if request.resolver_match is not None else ""
        if name in OPEN:
            return None
        if request.headers.get("Accept", "").startswith("application/json"):
            return JsonResponse({"problem": str(NEEDED)}, status=403)
        if factors.kinds_of(request.user):
            # It was set up in another session.
            back = request.get_full_path() if request.method == "GET" else ""
            return HttpResponseRedirect(confirmation.asking(back))
        messages.warning(request, NEEDED)
        return HttpResponseRedirect(reverse("portal:sign_in"))
