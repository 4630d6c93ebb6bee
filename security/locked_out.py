"""Logins that came too often: whose they are, and the page that they get."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.addresses import key_of
from security.login_protection import Closed


def name_of(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """AXES_USERNAME_CALLABLE: who tries to log in. Django's form calls it username, our users' field is email."""
    given = {**request.POST.dict(), **{str(name): value for name, value in (credentials or {}).items()}}
    return key_of(str(given.get("username") or given.get("email") or "").strip())[:254]


def locked_out(
    request: HttpRequest, original_response: HttpResponse | None = None, credentials: dict[str, Any] | None = None
) -> HttpResponse:
    """AXES_LOCKOUT_CALLABLE: says for how long, and how to open it sooner."""
    found: Closed | None = getattr(request, "login_closed", None)
    minutes = found.minutes if found is not None else 1
    context = admin.site.each_context(request) | {"title": "Too many attempts", "minutes": minutes}
    answer = render(request, "security/locked_out.html", context, status=429)
    answer["Retry-After"] = str(minutes * 60)
    return answer
