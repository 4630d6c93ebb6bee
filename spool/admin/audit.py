"""The audit in the console."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from spool.admin.readonly import ReadOnlyAdmin
from spool.console.history_views import audit
from spool.models import AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Gives the audit its place in the admin site."""

    def get_urls(self) -> list[URLPattern]:
        return [path("", self.admin_site.admin_view(audit), name="spool_auditevent_changelist")]
