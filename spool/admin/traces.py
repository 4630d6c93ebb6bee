"""What became of mail that left the spool, and the bounces that came back for it."""

from __future__ import annotations

from django.contrib import admin

from spool.admin.readonly import ReadOnlyAdmin
from spool.models import ReceivedBounce, Trace


@admin.register(Trace)
class TraceAdmin(ReadOnlyAdmin):
    list_display = ["ended", "sender", "recipient", "outcome", "reply", "host", "client_ip", "file_name"]
    list_filter = ["outcome"]
    search_fields = ["=sender", "=recipient", "=client_ip", "=message_id", "=file_name"]
    search_help_text = "A whole address, client IP, Message-ID or file name"
    ordering = ["-ended"]
    sortable_by = ["ended"]


@admin.register(ReceivedBounce)
class ReceivedBounceAdmin(ReadOnlyAdmin):
    list_display = ["received", "user", "failed_recipient", "status", "diagnostic"]
    search_fields = ["=user", "=domain"]
    ordering = ["-received"]
