"""The addresses of the Overview. All are for system administrators only."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from mailspool.overview import menus, views


def urls() -> list[URLPattern]:
    """They come before the admin site's own, whose index is replaced."""
    guard = admin.site.admin_view
    return [
        # Its name is the admin site's: admin:index.
        path("admin/", guard(views.overview)),
        path("admin/overview/<str:table>/deliveries/<str:window>/", guard(views.behind), name="overview_behind"),
        path("admin/overview/<str:table>/menu/", guard(menus.menu), name="overview_menu"),
    ]
