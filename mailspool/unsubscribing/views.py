"""What leads away from a list: to look at it changes nothing, because programs that look at mail follow its links."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from accounts import unsubscribing


# A mail program has no cookie, and nothing of a browser's session counts here.
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """A button for people; a POST of `List-Unsubscribe=One-Click` takes the member off the list (RFC 8058 3.2)."""
    try:
        if request.method != "POST":
            return _page(request, {"membership": unsubscribing.look_up(token)})
        if request.POST.get("List-Unsubscribe") != "One-Click":
            return _page(request, {"membership": unsubscribing.look_up(token)}, status=400)
        return _page(request, {"membership": unsubscribing.leave(token), "done": True})
    except unsubscribing.NotOurs:
        return _page(request, {}, status=404)


def _page(request: HttpRequest, context: dict[str, object], status: int = 200) -> HttpResponse:
    answer = render(request, "mailspool/unsubscribe.html", context, status=status)
    # The address is a secret: it must not go on to anybody.
    answer["Referrer-Policy"] = "no-referrer"
    return answer
