"""The addresses of the quarantine's pages, below the admin site's `quarantine/item/`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.urls import URLPattern, path

from quarantine.console import action_views, list_views, message_views


def urls() -> list[URLPattern]:
    """What ItemAdmin serves."""
    named: list[tuple[str, Callable[..., Any], str]] = [
        ("", list_views.either, "changelist"),
        ("spam/", list_views.spam_list, "spam"),
        ("virus/", list_views.virus_list, "virus"),
        ("action/<str:name>/", action_views.dialog, "dialog"),
        ("action/<str:name>/perform/", action_views.perform, "perform"),
        ("message/<str:file_name>/", message_views.message, "message"),
        ("message/<str:file_name>/content/", message_views.content, "content"),
        ("message/<str:file_name>/preview/", message_views.preview, "preview"),
        ("message/<str:file_name>/source/", message_views.source, "source"),
        ("message/<str:file_name>/download/", message_views.download, "download"),
    ]
    return [path(route, admin.site.admin_view(view), name=f"quarantine_item_{name}") for route, view, name in named]
