"""The settings of throttling in the console: one row, one form."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.admin import ModelAdmin

from throttling.models import ThrottleSettings


@admin.register(ThrottleSettings)
class ThrottleSettingsAdmin(ModelAdmin):
    """The one row. Its list is the form itself."""

    fieldsets = [
        ("Clients without a login", {
            "description": "What one IP address may bring in an hour. The limits of users, lists and domains are on"
            " their own pages.",
            "fields": ["ip_messages_per_hour", "ip_bandwidth_mb_per_hour", "ip_recipients_per_hour", "ip_action"],
        }),
        ("Answers and notices", {
            "description": "What those hear who reach a limit.",
            "fields": ["reject_permanently", "notify_users", "notify_administrators"],
        }),
    ]  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return redirect(reverse("admin:throttling_throttlesettings_change", args=[ThrottleSettings.load().pk]))
