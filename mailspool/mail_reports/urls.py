"""The addresses of the pages about reports. All are for system administrators only."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from mailspool.mail_reports import views


def urls() -> list[URLPattern]:
    """They come before the admin site's own."""
    guard = admin.site.admin_view
    return [
        path("admin/reports/", guard(views.domains), name="mail_reports"),
        path("admin/reports/<str:name>/", guard(views.domain), name="mail_reports_domain"),
    ]
