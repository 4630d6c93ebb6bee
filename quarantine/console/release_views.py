"""Where the links of a digest lead: a question first, because programs that look at mail follow its links."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from quarantine.actions import release


@never_cache
@require_http_methods(["GET", "POST"])
def release_page(request: HttpRequest, token: str) -> HttpResponse:
    """Ask, and resend the message when that is answered. No login: the link is the permission."""
    try:
        if request.method == "POST":
            release.use(token)
            return _page(request, {"done": True})
        return _page(request, {"item": release.read(token).item})
    except release.LinkIsDead as error:
        return _page(request, {"problem": str(error)}, status=410)


def _page(request: HttpRequest, context: dict[str, object], status: int = 200) -> HttpResponse:
    answer = render(request, "quarantine/release.html", context, status=status)
    # The address is a secret: it must not go on to anybody.
    answer["Referrer-Policy"] = "no-referrer"
    return answer


def release_urls() -> list[URLPattern]:
    return [path("quarantine/release/<str:token>/", release_page, name="quarantine_release")]
