"""The settings of throttling in the console: one row, one form."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin.onerow import OneRowAdmin
from throttling.models import ThrottleSettings


@admin.register(ThrottleSettings)
class ThrottleSettingsAdmin(OneRowAdmin):
    """The one row. Its list is the form itself."""

    fieldsets = [
        (
            "Clients without a login",
            {
                "description": "Limits for each IP address. Limits of users, lists and domains are on their own pages.",
                "fields": ["ip_messages_per_hour", "ip_bandwidth_mb_per_hour", "ip_recipients_per_hour", "ip_action"],
            },
        ),
        (
            "Answers and notices",
            {
                "description": "Notifications.",
                "fields": ["reject_permanently", "notify_users", "notify_administrators"],
            },
        ),
    ]
