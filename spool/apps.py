"""App configuration."""

from django.apps import AppConfig


class SpoolConfig(AppConfig):
    name = "spool"
    verbose_name = "Spool"

    def ready(self) -> None:
        from base.sealed import key_is_to_be_made
        from spool.files.marks import keys_wanted

        key_is_to_be_made.connect(keys_wanted, dispatch_uid="spool-marks")
