"""The page Antivirus: which scanners there are, and what becomes of what they find."""

from __future__ import annotations

from django.contrib import admin

from quarantine.admin.tested import TestedAdmin
from quarantine.engines.scanner import scanners_for
from quarantine.models import AntivirusSettings


@admin.register(AntivirusSettings)
class AntivirusSettingsAdmin(TestedAdmin):
    looks_for = "virus"
    fieldsets = [
        (
            "Scanning",
            {
                "description": "Each message is scanned once before delivery, if a scanner is configured.",
                "fields": ["scan_inbound", "scan_outbound", "max_scan_kb", "oversize", "unanswered"],
            },
        ),
        (
            "ClamAV",
            {
                "description": "Messages are sent to clamd over its socket; it needs no access to files.",
                "fields": ["clamd_servers", "clamd_timeout_seconds", "clamd_connections"],
            },
        ),
        (
            "Second scanner",
            {
                "description": "A program run for each message in which ClamAV found nothing.",
                "fields": ["command", "command_infected_status", "command_timeout_seconds", "command_parallel"],
            },
        ),
        (
            "Virus Quarantine",
            {
                "description": "Infected messages are kept there for a limited time.",
                "fields": ["keep_days", "warn_mb"],
            },
        ),
    ]

    def engines(self) -> list[str]:
        return [scanner.name for scanner in scanners_for(AntivirusSettings.load())]
