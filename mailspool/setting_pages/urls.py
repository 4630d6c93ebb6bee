"""The addresses of the settings. All are for system administrators only."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path
from django.views.generic import RedirectView

from mailspool.setting_pages import views


def urls() -> list[URLPattern]:
    """They come before the admin site's own, which would have a page of all of the server's settings at once."""
    guard = admin.site.admin_view
    return [
        path("admin/settings/", guard(views.settings), name="settings"),
        path("admin/settings/<slug:slug>/", guard(views.section), name="settings_section"),
        path("admin/spool/settings/", guard(RedirectView.as_view(pattern_name="settings"))),
        path("admin/spool/settings/<path:object_id>/change/", guard(views.whole_form)),
    ]
