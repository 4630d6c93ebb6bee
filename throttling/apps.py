from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _lazy


class ThrottlingConfig(AppConfig):
    name = "throttling"
    verbose_name = _lazy("Throttling")

    def ready(self) -> None:
        from throttling.countries import unreadable

        checks.register(unreadable)
