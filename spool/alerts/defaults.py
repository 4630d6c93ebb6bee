"""The rules that a new installation begins with: about the machine, which nobody may have to know mail for."""

from __future__ import annotations

from typing import Final

from spool.models import AlertRule

RULES: Final = (
    ("Low disk", "disk", 90, 95),
    ("Dead program", "program", 2, 50),
    ("Redis away", "redis", 2, 50),
    ("Database away", "database", 2, 50),
    ("Certificate expires", "certificate", 14, 80),
    ("Missing folder", "folder", 1, 50),
    ("Dropped files set aside", "drop", 1, 50),
)


def make(mail_to: str) -> None:
    """Make those that are not there. `mail_to` may be empty: the Overview shows them all the same."""
    for name, kind, threshold, ends_below in RULES:
        AlertRule.objects.get_or_create(
            name=name,
            defaults={"kind": kind, "threshold": threshold, "ends_below": ends_below, "mail_to": mail_to},
        )
