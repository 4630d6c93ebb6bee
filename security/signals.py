"""Every change of a list raises its version; a new database has the internal networks on its whitelist."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_delete, post_migrate, post_save

# (network, what it is): what no packet from outside comes from.
INTERNAL = (
    ("127.0.0.0/8", "This machine"),
    ("::1", "This machine"),
    ("10.0.0.0/8", "Internal network"),
    ("172.16.0.0/12", "Internal network"),
    ("192.168.0.0/16", "Internal network"),
    ("fc00::/7", "Internal network"),
    ("fe80::/10", "Internal network, of one link"),
)


def connect(app: AppConfig) -> None:
    """Called once, when the app is ready."""
    from security.models import BlacklistEntry, SMTPBlock, WhitelistEntry

    for model in (BlacklistEntry, WhitelistEntry, SMTPBlock):
        post_save.connect(_changed, sender=model, dispatch_uid=f"lists-save-{model.__name__}")
        post_delete.connect(_changed, sender=model, dispatch_uid=f"lists-delete-{model.__name__}")
    post_migrate.connect(_list_internal_networks, sender=app, dispatch_uid="lists-internal")


def _changed(sender: type, **kwargs: Any) -> None:
    from security import lists

    lists.changed()


def _list_internal_networks(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """List what is not listed yet. They may be changed, and stay as they were changed, but not removed."""
    from security import lists
    from security.models import WhitelistEntry

    present = set(WhitelistEntry.objects.using(using).values_list("network", flat=True))
    missing = [
        WhitelistEntry(
            network=network,
            description=description,
            smtp=True,
            web=True,
            login_bypass=True,
            is_default=True,
            created_by="mailspool",
        )
        for network, description in INTERNAL
        if network not in present
    ]
    if missing:
        WhitelistEntry.objects.using(using).bulk_create(missing, ignore_conflicts=True)
        lists.changed()
