"""The addresses of incident pages. Help desk and who only reads see them too, without their actions."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from mailspool.incident import views


def urls() -> list[URLPattern]:
    """They come before the admin site's own."""
    guard = admin.site.admin_view
    return [path("admin/incident/<str:kind>/<path:key>/", guard(views.incident), name="incident")]
