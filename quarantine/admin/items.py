"""Quarantined messages: the pages of quarantine.console, at the places where the admin site expects them."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern

from quarantine.console.urls import urls
from quarantine.models import Item
from spool.admin.readonly import ReadOnlyAdmin


@admin.register(Item)
class ItemAdmin(ReadOnlyAdmin):
    """Gives the model its place in the admin site; what is shown is quarantine.console's."""

    def get_urls(self) -> list[URLPattern]:
        return urls()
