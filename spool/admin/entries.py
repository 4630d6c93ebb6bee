"""The spool's entries in the console."""

from __future__ import annotations

from datetime import datetime

from django.contrib import admin
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.timesince import timesince
from unfold.admin import TabularInline

from spool.admin.readonly import ReadOnlyAdmin
from spool.models import Attempt, Entry, Recipient


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
