"""What the console says when a page failed: that the database or Redis is away or was asked for too much, if so."""

from __future__ import annotations

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.defaults import server_error
from redis.exceptions import RedisError

from mailspool.query_limit import QUERY_SECONDS, was_stopped

RETRY_SECONDS = 10
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>Not now – Mailspool</title></head>
<body style="font-family: system-ui, sans-serif; max-width: 36rem; margin: 4rem auto; padding: 0 1rem">
<h1 style="font-size: 1.25rem">{title}</h1><p>{text}</p></body></html>
"""
_AGAIN = "Please load the page again in a moment."


def failed(request: HttpRequest) -> HttpResponse:
    """Django's handler500. It runs while the exception is being handled."""
    error = sys.exc_info()[1]
    if isinstance(error, OperationalError) and was_stopped(error):
        title = "This took too long"
        text = (
            f"The database was stopped after {QUERY_SECONDS:g} seconds, so that other pages do not wait for this one. "
            "Go back and ask for less: a shorter time, a whole address instead of a pattern, or fewer words."
        )
    elif isinstance(error, OperationalError | InterfaceError):
        title, text = "The database is away", f"Nothing can be shown without it. {_AGAIN}"
    elif isinstance(error, RedisError):
        title, text = "Redis is away", f"Mail goes on without it, but this page does not. {_AGAIN}"
    else:
        return server_error(request)
    return HttpResponse(
        _PAGE.format(title=title, text=text),
        status=503,
        headers={"Retry-After": str(RETRY_SECONDS), "Cache-Control": "no-store"},
    )
