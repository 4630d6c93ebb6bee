"""The audit in the console."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from base.audit.models import AuditEvent
from spool.admin.readonly import ReadOnlyAdmin
from spool.console.audit import audit_page, export_audit


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Gives the audit its place in the admin site."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(audit_page), name="audit_auditevent_changelist"),
            path("export/", view(export_audit), name="audit_auditevent_export"),
        ]
