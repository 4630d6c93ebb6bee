"""Logins that came too often: whose they are, and the page that they get."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def name_of(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """AXES_USERNAME_CALLABLE: who tries to log in. Django's form calls it username, our users' field is email."""
    given = {**request.POST.dict(), **{str(name): value for name, value in (credentials or {}).items()}}
    return str(given.get("username") or given.get("email") or "").strip().lower()[:255]


def locked_out(
    request: HttpRequest, original_response: HttpResponse | None = None, credentials: dict[str, Any] | None = None
) -> HttpResponse:
    """AXES_LOCKOUT_CALLABLE: says for how long, and how to open it sooner."""
    context = admin.site.each_context(request) | {
        "title": "Too many attempts",
        "minutes": int(settings.AXES_COOLOFF_TIME.total_seconds() // 60),
    }
    answer = render(request, "mailspool/locked_out.html", context, status=429)
    answer["Retry-After"] = str(int(settings.AXES_COOLOFF_TIME.total_seconds()))
    return answer
