"""The settings in the console: one row, one form."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.admin import ModelAdmin

from spool.models import Settings


@admin.register(Settings)
class SettingsAdmin(ModelAdmin):
    """The one row. Its list is the form itself."""

    fieldsets = [
        (
            "Spool",
            {
                "fields": [
                    "delivery_delay_seconds",
                    "retry_intervals_minutes",
                    "expire_after_hours",
                    "dns_failure_limit",
                    "delay_notice_hours",
                    "subspool_size",
                    "trace_days",
                    "trash_days",
                    "move_roots",
                    "min_free_mb",
                ]
            },
        ),
        (
            "Concurrency",
            {
                "fields": [
                    "max_deliveries",
                    "max_local_deliveries",
                    "max_remote_deliveries",
                    "max_per_destination",
                ]
            },
        ),
        (
            "SMTP in",
            {
                "fields": [
                    "max_message_kb",
                    "max_recipients",
                    "max_errors",
                    "max_connections",
                    "max_connections_per_ip",
                    "command_timeout_seconds",
                    "data_timeout_seconds",
                    "max_hops",
                    "bypass_networks",
                ]
            },
        ),
        (
            "Delivery",
            {
                "fields": [
                    "source_address",
                    "smtp_out_port",
                    "tls_policy",
                    "honour_mta_sts",
                    "connect_timeout_seconds",
                    "reply_timeout_seconds",
                    "dead_host_seconds",
                    "local_store",
                    "lmtp_address",
                    "postmaster",
                ]
            },
        ),
        (
            "Certificate",
            {
                "fields": [
                    "tls_certificate",
                    "tls_key",
                ]
            },
        ),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return redirect(reverse("admin:spool_settings_change", args=[Settings.load().pk]))
