"""The Content-Security-Policy of the console's pages: nothing is fetched from, or sent to, any other host."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# Scripts come from files only, so markup that slipped into a page runs nothing. 'unsafe-eval' stays: Alpine, which
# Unfold's pages are built on, makes functions of attributes, and its build without that can't run Unfold's, which
# reach for globals (docs/console/README.md). The spool's pages keep it out by x-ignore. What a sender wrote is never
# shown under this policy, only in a frame with its own (spool.console.preview).
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-src 'self'; "
    "frame-ancestors 'none'"
)


class ContentPolicy:
    """Middleware: adds the policy to every answer that has none of its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response
