"""App configuration."""

from django.apps import AppConfig


class SpoolConfig(AppConfig):
    name = "spool"
    verbose_name = "Spool"

    def ready(self) -> None:
        from accounts import edits
        from accounts.history import recorded
        from spool.actions.audit import account_event, last_change

        edits.SOURCES.append(last_change)
        recorded.connect(account_event, dispatch_uid="spool-audit")
