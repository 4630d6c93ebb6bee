"""App configuration."""

from django.apps import AppConfig


class SecurityConfig(AppConfig):
    name = "security"
    verbose_name = "Security"

    def ready(self) -> None:
        from security import signals, web_login

        signals.connect(self)
        web_login.connect()
