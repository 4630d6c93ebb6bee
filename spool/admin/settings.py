"""The settings in the console: one row."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin.onerow import OneRowAdmin
from spool.models import Settings


@admin.register(Settings)
class SettingsAdmin(OneRowAdmin):
    """The one row."""
