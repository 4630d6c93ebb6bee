"""App configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _lazy


class SpoolConfig(AppConfig):
    name = "spool"
    verbose_name = _lazy("Spool")

    def ready(self) -> None:
        from base.sealed import key_is_to_be_made
        from spool.files.marks import keys_wanted

        key_is_to_be_made.connect(keys_wanted, dispatch_uid="spool-marks")
