"""The addresses of the pages about the DNS. All are for system administrators only."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from mailspool.dns_records import views


def urls() -> list[URLPattern]:
    """They come before the admin site's own."""
    guard = admin.site.admin_view
    return [
        path("admin/dns/", guard(views.domains), name="dns"),
        path("admin/dns/<str:key>/", guard(views.domain), name="dns_domain"),
        path("admin/dns/<str:key>/check/", guard(views.check), name="dns_check"),
    ]
