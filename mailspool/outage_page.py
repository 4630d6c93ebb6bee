"""What the console says when a page failed: that the database or Redis is away, when that is why."""

from __future__ import annotations

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.defaults import server_error
from redis.exceptions import RedisError

RETRY_SECONDS = 10
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>Not now – Mailspool</title></head>
<body style="font-family: system-ui, sans-serif; max-width: 36rem; margin: 4rem auto; padding: 0 1rem">
<h1 style="font-size: 1.25rem">{title}</h1><p>{text} Please load the page again in a moment.</p></body></html>
"""


def failed(request: HttpRequest) -> HttpResponse:
    """Django's handler500. It runs while the exception is being handled."""
    error = sys.exc_info()[1]
    if isinstance(error, OperationalError | InterfaceError):
        title, text = "The database is away", "Nothing can be shown without it."
    elif isinstance(error, RedisError):
        title, text = "Redis is away", "Mail goes on without it, but this page does not."
    else:
        return server_error(request)
    return HttpResponse(
        _PAGE.format(title=title, text=text),
        status=503,
        headers={"Retry-After": str(RETRY_SECONDS), "Cache-Control": "no-store"},
    )
