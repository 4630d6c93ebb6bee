"""The spool in the console: plain lists of entries and traces, routes, and the settings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.timesince import timesince
from unfold.admin import ModelAdmin, TabularInline
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminPasswordWidget

from spool.delivery.sealed import seal
from spool.models import Attempt, Entry, ReceivedBounce, Recipient, Route, Settings, Trace


class ReadOnlyAdmin(ModelAdmin):
    """Rows that only the flow of mail may write. Pages never count a million of them."""

    paginator = InfinitePaginator
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class RecipientInline(TabularInline):
    model = Recipient
    fields = ["address", "kind", "status", "last_reply", "last_host"]
    extra = 0
    can_delete = False
    per_page = 50
    ordering = ["id"]

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    list_display = [
        "filename", "spool_path", "sender", "delivered_of_total", "size", "attempts", "time_in_spool", "priority",
        "status", "next_try",
    ]  # fmt: skip
    list_filter = ["status", "priority", "direction"]
    search_fields = ["file_name", "sender", "message_id"]
    ordering = ["-id"]
    sortable_by = ["filename"]
    inlines = [RecipientInline]
    readonly_fields = ["log"]

    @admin.display(description="Filename", ordering="file_name")
    def filename(self, entry: Entry) -> str:
        return entry.file_name

    @admin.display(description="Spool Path")
    def spool_path(self, entry: Entry) -> str:
        return entry.subspool

    @admin.display(description="Recipients")
    def delivered_of_total(self, entry: Entry) -> str:
        return f"{entry.recipients_done} / {entry.recipients_total}"

    @admin.display(description="Size")
    def size(self, entry: Entry) -> str:
        return filesizeformat(entry.size_bytes)

    @admin.display(description="Next Attempt")
    def next_try(self, entry: Entry) -> datetime | None:
        return entry.next_attempt

    @admin.display(description="Time in Spool")
    def time_in_spool(self, entry: Entry) -> str:
        return timesince(entry.created)

    @admin.display(description="Attempts")
    def log(self, entry: Entry) -> str:
        attempts = Attempt.objects.filter(file_name=entry.file_name)[:50]
        return "\n".join(str(attempt) for attempt in attempts) or "None yet."


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


class RouteForm(forms.ModelForm):
    """A route; its password can be set and removed, not read."""

    password = forms.CharField(
        required=False, widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="Leave empty to keep the one there is.",
    )  # fmt: skip

    class Meta:
        model = Route
        fields = [
            "domain", "kind", "enabled", "host", "port", "tls", "username", "password", "source_address",
            "max_connections", "description",
        ]  # fmt: skip

    def save(self, commit: bool = True) -> Route:
        if self.cleaned_data.get("password"):
            self.instance.sealed_password = seal(self.cleaned_data["password"])
        if not self.cleaned_data.get("username"):
            self.instance.sealed_password = ""
        route: Route = super().save(commit)
        return route


@admin.register(Route)
class RouteAdmin(ModelAdmin):
    form = RouteForm
    list_display = ["domain", "kind", "host", "port", "tls", "enabled"]
    list_filter = ["kind", "enabled"]
    search_fields = ["domain", "host"]


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
