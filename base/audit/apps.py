"""App configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _lazy


class AuditConfig(AppConfig):
    name = "base.audit"
    label = "audit"
    verbose_name = _lazy("Audit")
