"""A rule for source addresses that are gone, in installations that have run already: it tells nobody by mail."""

from django.db import migrations


def make(apps, schema_editor):
    if not apps.get_model("spool", "TrafficState").objects.exists():
        # Nothing was ever counted here: it is new, and gets its rules when it is prepared (spool.alerts.defaults).
        return
    rules = apps.get_model("spool", "AlertRule").objects
    if not rules.filter(kind="source-missing").exists():
        rules.get_or_create(
            name="Missing source address",
            defaults={"kind": "source-missing", "threshold": 2, "ends_below": 50, "minutes": 10, "at_least": 50},
        )


class Migration(migrations.Migration):
    safe_because = "the version before has no watch of the new kind, and sees nothing of it"

    dependencies = [("spool", "0046_source_addresses")]

    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
