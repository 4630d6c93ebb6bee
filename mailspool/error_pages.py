"""What is shown in the place of a page: that there is none, that it is not for this person, or that it failed, and why.

Nothing here asks the database, Redis, a session or a file: it has to work when one of them is what is missing.
"""

from __future__ import annotations

import sys
from typing import Final

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from redis.exceptions import RedisError

from base.times import exact
from mailspool.query_limit import QUERY_SECONDS, was_stopped

RETRY_SECONDS: Final = 10
_AGAIN: Final = _lazy("Please load the page again in a moment.")
_PAGE: Final = """<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title} – Mailspool</title>
<style>
:root {{ color-scheme: light dark; --line: light-dark(#e2e4ea, #2c3140); --quiet: light-dark(#5b6170, #a5abb9);
  --accent: light-dark(#4f39f6, #a3b3ff); }}
body {{ font: 15px/1.55 system-ui, sans-serif; margin: 0; padding: 14vh 16px 0; background: light-dark(#fff, #14171f);
  color: light-dark(#1c2130, #e4e6ec); }}
main {{ max-width: 34rem; margin: 0 auto; border: 1px solid var(--line); border-radius: 14px; padding: 26px 28px; }}
p {{ margin: 0 0 12px; overflow-wrap: anywhere; }} h1 {{ font-size: 20px; margin: 0 0 10px; }}
.code {{ color: var(--quiet); font-size: 13px; margin-bottom: 6px; }}
nav {{ display: flex; flex-wrap: wrap; gap: 10px; margin-top: 18px; }}
a {{ color: var(--accent); font-weight: 500; display: inline-flex; align-items: center; min-height: 44px;
  padding: 0 16px; border: 1px solid var(--line); border-radius: 8px; text-decoration: none; }}
a:hover {{ text-decoration: underline; }}
</style></head>
<body><main><p class="code">Mailspool · {status}</p><h1>{title}</h1>{text}
<nav aria-label="{go_on}">{links}</nav></main></body></html>
"""


def missing(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler404."""
    said = str(exception.args[0]) if isinstance(exception, Http404) and exception.args else ""
    # What Django's resolver says is a list of patterns, and some messages of the admin quote what was asked for.
    sentence = (
        said if said.endswith(".") and len(said) < 200 else _("It may have been removed, or the address is mistyped.")
    )
    return _page(404, _("There is no such page"), sentence)


def unreadable(request: HttpRequest) -> HttpResponse:
    """What was asked has a null character in it."""
    return _page(400, _("This can't be read"), _("The address or the form has a null character in it."))


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler403."""
    said = str(exception) if isinstance(exception, PermissionDenied) else ""
    return _page(
        403, _("No access"), said or _("Your role does not reach this page. An administrator can change that.")
    )


def out_of_date(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW."""
    return _page(
        403,
        _("This form is out of date"),
        _(
            "It was opened before you signed in, or the browser keeps no cookies for this site. Nothing was changed. Go"
            " back, load the page again, and send it once more."
        ),
    )


def failed(request: HttpRequest) -> HttpResponse:
    """Django's handler500. It runs while the exception is being handled."""
    error = sys.exc_info()[1]
    if isinstance(error, OperationalError) and was_stopped(error):
        title = _("This took too long")
        text = _(
            "The database was stopped after %(seconds)s seconds, so that other pages do not wait for this one. "
            "Go back and ask for less: a shorter time, a whole address instead of a pattern, or fewer words."
        ) % {"seconds": f"{QUERY_SECONDS:g}"}
    elif isinstance(error, OperationalError | InterfaceError):
        title, text = _("The database is away"), f"{_('Nothing can be shown without it.')} {_AGAIN}"
    elif isinstance(error, RedisError):
        title, text = _("Redis is away"), f"{_('Mail goes on without it, but this page does not.')} {_AGAIN}"
    else:
        when = exact(timezone.now())
        return _page(
            500,
            _("This page failed"),
            _("Mail goes on. The log of the web process says why, at %(when)s for %(path)s: report it with that.")
            % {"when": when, "path": request.path},
        )
    response = _page(503, title, text)
    response["Retry-After"] = str(RETRY_SECONDS)
    return response


def _page(status: int, title: str, sentence: str) -> HttpResponse:
    # Where "/" leads is for whoever asks there: the console, the user site or the login.
    links: SafeString = format_html('<a href="{}">{}</a>', "/", _("To the start page"))
    text = format_html("<p>{}</p>", sentence)
    page = format_html(
        _PAGE, lang=get_language() or "en", go_on=_("Go on"), title=title, status=status, text=text, links=links
    )
    return HttpResponse(page, status=status, headers={"Cache-Control": "no-store"})
