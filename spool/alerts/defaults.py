"""The rules that a new installation begins with: none of them needs to know what mail is usual there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from spool.models import AlertRule


@dataclass(frozen=True, slots=True)
class DefaultRule:
    """One of them. Whoever `tells` nobody is shown in the console alone."""

    name: str
    kind: str
    threshold: int
    ends_below: int
    minutes: int = 10
    at_least: int = 50
    tells: bool = True


RULES: Final = (
    DefaultRule("Low disk", "disk", 90, 95),
    DefaultRule("Dead program", "program", 2, 50),
    DefaultRule("Missed machine", "machine", 2, 50),
    DefaultRule("Machine drains for long", "machine-drain", 240, 50),
    DefaultRule("Redis away", "redis", 2, 50),
    DefaultRule("Bucket away", "bucket", 2, 50),
    DefaultRule("Database away", "database", 2, 50),
    DefaultRule("Certificate expires", "certificate", 14, 80),
    DefaultRule("Missing folder", "folder", 1, 50),
    DefaultRule("Dropped files set aside", "drop", 1, 50),
    DefaultRule("Flood by a user", "flood-user", 300, 50, minutes=5),
    DefaultRule("Flood by a sender", "flood-sender", 500, 50, minutes=5),
    DefaultRule("Flood by an IP address", "flood-ip", 1000, 50, minutes=5),
    DefaultRule("Deferred mail of a user", "deferred-user", 100, 50),
    DefaultRule("Deferred mail of a sender", "deferred-sender", 200, 50),
    DefaultRule("Growing backlog", "growth", 1000, 50, minutes=30),
    DefaultRule("Broken DNS record", "dns", 1, 100),
    DefaultRule("Failing TLS reported by others", "tls-reported", 1, 100),
    DefaultRule("Mail that nobody takes", "untaken", 5, 50),
    DefaultRule("Address refused by a destination", "suspended", 1, 100),
    DefaultRule("Missing source address", "source-missing", 2, 50),
    DefaultRule("Silent scanner or check", "engine", 5, 50),
    DefaultRule("Failing scanner or check", "engine-failing", 25, 80, at_least=20),
    DefaultRule("Full quarantine", "quarantine", 90, 95),
    DefaultRule("Throttled user", "throttled-user", 5, 50, tells=False),
    DefaultRule("Throttled domain", "throttled-domain", 5, 50, tells=False),
    # The guard itself tells the administrators of the domain.
    DefaultRule("Guarded user", "guard", 1, 100, minutes=60, tells=False),
    DefaultRule("Suspected user", "guard-dry-run", 1, 100, minutes=60, tells=False),
    DefaultRule("Refusing destination", "destination", 50, 80, minutes=15, at_least=20, tells=False),
)


def make(mail_to: str) -> None:
    """Make those that are not there. `mail_to` may be empty: the console shows them all the same."""
    for rule in RULES:
        AlertRule.objects.get_or_create(
            name=rule.name,
            defaults={
                "kind": rule.kind,
                "threshold": rule.threshold,
                "ends_below": rule.ends_below,
                "minutes": rule.minutes,
                "at_least": rule.at_least,
                "mail_to": mail_to if rule.tells else "",
            },
        )
