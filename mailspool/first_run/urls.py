"""The addresses of the first steps. All are for system administrators only."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from mailspool.first_run import views


def urls() -> list[URLPattern]:
    """They come before the admin site's own."""
    guard = admin.site.admin_view
    return [
        path("admin/first-run/", guard(views.shown), name="first_run"),
        path("admin/first-run/test/", guard(views.test), name="first_run_test"),
        path("admin/first-run/dismiss/", guard(views.dismiss), name="first_run_dismiss"),
    ]
