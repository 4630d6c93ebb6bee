"""The page Antivirus: which scanners there are, and what becomes of what they find."""

from __future__ import annotations

from django.contrib import admin

from quarantine.admin.tested import TestedAdmin
from quarantine.engines.scanner import scanners_for
from quarantine.models import AntivirusSettings


@admin.register(AntivirusSettings)
class AntivirusSettingsAdmin(TestedAdmin):
    looks_for = "virus"

    def engines(self) -> list[str]:
        return [scanner.name for scanner in scanners_for(AntivirusSettings.load())]
