"""The trash in the console."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from spool.admin.readonly import ReadOnlyAdmin
from spool.console.trash import trash_page
from spool.models import Trashed


@admin.register(Trashed)
class TrashedAdmin(ReadOnlyAdmin):
    """Gives the trash its place in the admin site."""

    def get_urls(self) -> list[URLPattern]:
        return [path("", self.admin_site.admin_view(trash_page), name="spool_trashed_changelist")]
