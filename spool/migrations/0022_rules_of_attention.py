"""Rules for what the console asks attention for, in installations that have run already: they tell nobody by mail.

A new installation gets them when it is prepared (spool.alerts.defaults), with its administrator's address.
"""

from django.db import migrations

RULES = (
    ("Flood by a user", "flood-user", 300, 50, 5, 50),
    ("Flood by a sender", "flood-sender", 500, 50, 5, 50),
    ("Flood by an IP address", "flood-ip", 1000, 50, 5, 50),
    ("Deferred mail of a user", "deferred-user", 100, 50, 10, 50),
    ("Deferred mail of a sender", "deferred-sender", 200, 50, 10, 50),
    ("Growing backlog", "growth", 1000, 50, 30, 50),
    ("Silent scanner or check", "engine", 5, 50, 10, 50),
    ("Failing scanner or check", "engine-failing", 25, 80, 10, 20),
    ("Full quarantine", "quarantine", 90, 95, 10, 50),
    ("Throttled user", "throttled-user", 5, 50, 10, 50),
    ("Throttled domain", "throttled-domain", 5, 50, 10, 50),
    ("Guarded user", "guard", 1, 100, 60, 50),
    ("Suspected user", "guard-dry-run", 1, 100, 60, 50),
    ("Refusing destination", "destination", 50, 80, 15, 20),
)


def make(apps, schema_editor):
    if not apps.get_model("spool", "TrafficState").objects.exists():
        # Nothing was ever counted here: it is new.
        return
    rules = apps.get_model("spool", "AlertRule").objects
    watched = set(rules.values_list("kind", flat=True))
    for name, kind, threshold, ends_below, minutes, at_least in RULES:
        if kind not in watched:
            rules.get_or_create(
                name=name,
                defaults={
                    "kind": kind,
                    "threshold": threshold,
                    "ends_below": ends_below,
                    "minutes": minutes,
                    "at_least": at_least,
                },
            )


class Migration(migrations.Migration):
    safe_because = "the version before has no watch of a new kind, and sees nothing of it"

    dependencies = [("spool", "0021_alert_responses")]

    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
