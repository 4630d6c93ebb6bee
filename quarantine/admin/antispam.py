"""The page Antispam with its checks, and the senders that are trusted."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from quarantine.admin.tested import TestedAdmin
from quarantine.models import AntispamSettings, Check, TrustedSender


@admin.register(AntispamSettings)
class AntispamSettingsAdmin(TestedAdmin):
    looks_for = "spam"
    fieldsets = [
        ("Inbound mail", {
            "description": "The points of all checks are added up. What becomes of a message from so many points on:",
            "fields": [("low", "low_action"), ("medium", "medium_action"), ("high", "high_action"), "subject_prefix",
                       "add_results", ("domains_choose", "users_choose")],
        }),
        ("Outbound mail", {
            "description": "What passes the threshold is kept in the Spam Quarantine instead of being sent.",
            "fields": ["outbound_quarantine", "outbound_threshold"],
        }),
        ("Spam Quarantine", {"fields": ["keep_days", "warn_mb"]}),
        ("Digest", {
            "description": "A mail each day to those concerned by what was quarantined since the last one.",
            "fields": ["digest", "digest_hour", "console_url"],
        }),
        ("Limits", {"fields": ["max_content_kb"]}),
    ]  # fmt: skip

    def engines(self) -> list[str]:
        return list(Check.objects.values_list("name", flat=True))


@admin.register(Check)
class CheckAdmin(ModelAdmin):
    list_display = ["name", "kind", "weight", "directions", "where"]
    list_filter = ["kind", "inbound", "outbound"]
    search_fields = ["name", "where"]
    empty_title = "No checks yet"
    empty_text = (
        "Without a check no mail is looked at for spam. SPF, DKIM and DMARC need nothing but DNS; SpamAssassin and "
        "Rspamd are servers of their own; a DNS list is named by its zone."
    )
    fieldsets = [
        (None, {"fields": ["name", "kind", "weight", ("inbound", "outbound")]}),
        ("What it asks", {"fields": ["where", "pattern", "timeout_seconds"]}),
    ]

    @admin.display(description="for")
    def directions(self, check: Check) -> SafeString:
        words = [word for word, on in (("inbound", check.inbound), ("outbound", check.outbound)) if on]
        return format_html("{}", " and ".join(words) or "off")


@admin.register(TrustedSender)
class TrustedSenderAdmin(ModelAdmin):
    list_display = ["pattern", "description"]
    search_fields = ["pattern", "description"]
    empty_title = "Nobody is trusted yet"
    empty_text = (
        "Mail of a trusted sender gets no points but those of SPF and DKIM, which tell whether it is really theirs."
    )
