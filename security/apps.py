"""App configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _lazy


class SecurityConfig(AppConfig):
    name = "security"
    verbose_name = _lazy("Security")

    def ready(self) -> None:
        from security import signals, web_login

        signals.connect(self)
        web_login.connect()
