"""App configuration."""

from django.apps import AppConfig


class SpoolConfig(AppConfig):
    name = "spool"
    verbose_name = "Spool"
