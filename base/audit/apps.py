"""App configuration."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "base.audit"
    label = "audit"
    verbose_name = "Audit"
