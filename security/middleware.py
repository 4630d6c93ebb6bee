"""The web's door: who is on the blacklist for it gets a refusal instead of every page."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from security import lists
from security.models import Protocol

View = Callable[[HttpRequest], HttpResponse]


class Blacklist:
    """Refuses blacklisted addresses. In effect for open sessions as well: they are asked for with each page."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        ip = str(request.META.get("REMOTE_ADDR", ""))
        found = lists.current().blacklisted(ip, Protocol.WEB)
        if found is None:
            return self.get_response(request)
        return HttpResponse(
            f"Your address {ip} is not let in. If that is a mistake, tell the postmaster of"
            f" {settings.MAILSPOOL_HOSTNAME}, with the code B{found.id}.\n",
            content_type="text/plain; charset=utf-8",
            status=403,
        )
