"""The spool in the console, a module for each subject. Django finds it by this name; the pages register themselves."""

from spool.admin import (
    alerts,
    audit,
    destination_rules,
    dkim,
    entries,
    routes,
    settings,
    source_addresses,
    suppression,
    traces,
    trash,
    update_servers,
)

__all__ = [
    "alerts",
    "audit",
    "destination_rules",
    "dkim",
    "entries",
    "routes",
    "settings",
    "source_addresses",
    "suppression",
    "traces",
    "trash",
    "update_servers",
]
