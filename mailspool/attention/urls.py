"""The addresses of what needs attention. Help desk and who only reads see it, and say nothing to it."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from mailspool.attention import views


def urls() -> list[URLPattern]:
    """They come before the admin site's own."""
    guard = admin.site.admin_view
    return [
        path("admin/attention/", guard(views.strip), name="attention"),
        path("admin/attention/<int:pk>/", guard(views.alert), name="attention_alert"),
        path("admin/attention/<int:pk>/contain/", guard(views.contain), name="attention_contain"),
        path("admin/attention/<int:pk>/acknowledge/", guard(views.acknowledge), name="attention_acknowledge"),
        path("admin/attention/<int:pk>/mute/", guard(views.mute), name="attention_mute"),
    ]
