"""App configuration."""

from django.apps import AppConfig


class SpoolConfig(AppConfig):
    name = "spool"
    verbose_name = "Spool"

    def ready(self) -> None:
        from accounts import edits
        from base.action import recorded
        from base.sealed import key_is_to_be_made
        from spool.actions.audit import keep, last_change
        from spool.files.marks import keys_wanted

        edits.SOURCES.append(last_change)
        recorded.connect(keep, dispatch_uid="spool-audit")
        key_is_to_be_made.connect(keys_wanted, dispatch_uid="spool-marks")
