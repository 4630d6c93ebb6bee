"""What every page of the spool's console is made of: the frame of the admin site, and the section's tabs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.models import User
from base.texts import Text
from spool.actions import Actor
from spool.console.jobs import open_jobs


def page(
    request: HttpRequest, template: str, title: Text, context: dict[str, Any] | None = None, *, status: int = 200
) -> HttpResponse:
    """A whole page with sidebar and tabs. Its `title` is also what the browser's tab says."""
    return render(
        request,
        template,
        {
            **admin.site.each_context(request),
            "title": title,
            "is_nav_sidebar_enabled": True,
            "open_jobs": open_jobs(actor_of(request)),
            **(context or {}),
        },
        status=status,
    )


def actor_of(request: HttpRequest) -> Actor:
    """Who is at the keyboard. The admin site has seen to it that it is a user."""
    assert isinstance(request.user, User)
    return Actor.of(request.user)


def is_htmx(request: HttpRequest) -> bool:
    """Whether a part of a page is asked for, rather than the whole."""
    return request.headers.get("HX-Request") == "true"
