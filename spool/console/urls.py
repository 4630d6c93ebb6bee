"""The addresses of the spool's pages, below the admin site's `spool/entry/`. Each view is for administrators only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.urls import URLPattern, path

from spool.console import action_views, history_views, list_views, message_views


def urls() -> list[URLPattern]:
    """What EntryAdmin serves."""
    named: list[tuple[str, Callable[..., Any], str]] = [
        ("", list_views.spool_list, "changelist"),
        ("waiting/", list_views.waiting_list, "waiting"),
        ("backlog/", history_views.backlog_map, "backlog"),
        ("action/<str:name>/", action_views.dialog, "dialog"),
        ("action/<str:name>/perform/", action_views.perform, "perform"),
        ("job/<int:pk>/", action_views.job, "job"),
        ("job/<int:pk>/cancel/", action_views.cancel, "cancel_job"),
        ("undo/<int:pk>/", action_views.undo, "undo"),
        ("layout/", list_views.save_layout, "save_layout"),
        ("views/save/", list_views.save_view, "save_view"),
        ("views/<int:pk>/forget/", list_views.forget_view, "forget_view"),
        ("message/<str:file_name>/", message_views.message, "message"),
        ("message/<str:file_name>/recipients/", message_views.recipients, "recipients"),
        ("message/<str:file_name>/content/", message_views.content, "content"),
        ("message/<str:file_name>/preview/", message_views.preview, "preview"),
        ("message/<str:file_name>/source/", message_views.source, "source"),
        ("message/<str:file_name>/download/", message_views.download, "download"),
    ]
    return [path(route, admin.site.admin_view(view), name=f"spool_entry_{name}") for route, view, name in named]
