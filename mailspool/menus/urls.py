"""The addresses of menus. All are for system administrators only."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from mailspool.menus import views


def urls() -> list[URLPattern]:
    """They come before the admin site's own."""
    guard = admin.site.admin_view
    return [
        path("admin/menu-of-messages/", guard(views.messages_menu), name="messages_menu"),
        path("admin/menu/<str:kind>/", guard(views.menu), name="thing_menu"),
        path("admin/menu/<str:kind>/<str:name>/", guard(views.dialog), name="thing_dialog"),
        path("admin/menu/<str:kind>/<str:name>/now/", guard(views.act), name="thing_act"),
    ]
