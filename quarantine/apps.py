"""App configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _lazy


class QuarantineConfig(AppConfig):
    name = "quarantine"
    verbose_name = _lazy("Quarantine")

    def ready(self) -> None:
        from quarantine.actions.verbs import register

        register()
