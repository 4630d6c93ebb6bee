"""The address of the page of machines."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from mailspool.machines import views


def urls() -> list[URLPattern]:
    """They come before the admin site's own."""
    return [path("admin/machines/", admin.site.admin_view(views.page_of_machines), name="machines")]
