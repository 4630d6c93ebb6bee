from django.apps import AppConfig
from django.core import checks


class ThrottlingConfig(AppConfig):
    name = "throttling"
    verbose_name = "Throttling"

    def ready(self) -> None:
        from throttling.countries import unreadable

        checks.register(unreadable)
