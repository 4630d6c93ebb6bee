"""App configuration."""

from django.apps import AppConfig


class QuarantineConfig(AppConfig):
    name = "quarantine"
    verbose_name = "Quarantine"

    def ready(self) -> None:
        from quarantine.actions.verbs import register

        register()
