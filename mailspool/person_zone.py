"""The time zone of whoever looks at a page: the browser's, which a script tells in a cookie (times.js)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

COOKIE: Final = "zone"
# As the IANA's names are, and nothing that could be a path out of their folder.
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")


class PersonZone:
    """Middleware: pages show, and forms take, times of that zone. Without one it is the server's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(zone_of(request.COOKIES.get(COOKIE, ""))):
            return self._get_response(request)


def zone_of(name: str) -> ZoneInfo | None:
    """The zone of that name; None when there is none."""
    name = name.replace("%2F", "/")
    if len(name) > 64 or not _NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
