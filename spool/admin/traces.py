"""What became of mail that left the spool, and the bounces that came back for it."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from spool.admin.readonly import ReadOnlyAdmin
from spool.console.trace_views import export_trace, message_trace
from spool.models import ReceivedBounce, Trace


@admin.register(Trace)
class TraceAdmin(ReadOnlyAdmin):
    """Gives the message trace its place in the admin site."""

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path("", guard(message_trace), name="spool_trace_changelist"),
            path("export/", guard(export_trace), name="spool_trace_export"),
        ]


@admin.register(ReceivedBounce)
class ReceivedBounceAdmin(ReadOnlyAdmin):
    list_display = ["received", "user", "failed_recipient", "status", "diagnostic"]
    search_fields = ["=user", "=domain"]
    ordering = ["-received"]
