"""The address of the search. Only who may see the console reaches it."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from mailspool.search import views


def urls() -> list[URLPattern]:
    """It comes before the admin site's own: theirs looks through every table."""
    return [path("admin/search/", admin.site.admin_view(views.results), name="search")]
