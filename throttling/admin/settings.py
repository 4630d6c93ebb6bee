"""The settings of throttling in the console: one row, one form."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin.onerow import OneRowAdmin
from throttling.models import ThrottleSettings


@admin.register(ThrottleSettings)
class ThrottleSettingsAdmin(OneRowAdmin):
    """The one row. Its list is the form itself."""
