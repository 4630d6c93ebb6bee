"""The addresses of destinations."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from mailspool.destinations import views


def urls() -> list[URLPattern]:
    """They come before the admin site's own."""
    guard = admin.site.admin_view
    return [
        path("admin/destinations/", guard(views.destinations), name="destinations"),
        path("admin/destinations/one/", guard(views.destination), name="destination"),
    ]
