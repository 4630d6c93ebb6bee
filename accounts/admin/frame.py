"""The frame of the accounts' own pages in the console."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme


def page(request: HttpRequest, template: str, title: str, context: dict[str, Any]) -> HttpResponse:
    """A whole page with the sidebar."""
    frame = {**admin.site.each_context(request), "title": title, "is_nav_sidebar_enabled": True}
    return render(request, template, {**frame, **context})


def next_page(request: HttpRequest, otherwise: str) -> str:
    """Where to go after a POST: the page of this site that it names, and nowhere else."""
    wanted = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if is_ours else otherwise
