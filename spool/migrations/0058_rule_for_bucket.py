"""A rule for a bucket that is away, in installations that have run already: it tells nobody by mail."""

from django.db import migrations


def make(apps, schema_editor):
    if not apps.get_model("spool", "TrafficState").objects.exists():
        # Nothing was ever counted here: it is new.
        return
    rules = apps.get_model("spool", "AlertRule").objects
    if not rules.filter(kind="bucket").exists():
        rules.get_or_create(
            name="Bucket away",
            defaults={"kind": "bucket", "threshold": 2, "ends_below": 50, "minutes": 10, "at_least": 50},
        )


class Migration(migrations.Migration):
    safe_because = "the version before has no watch of a new kind, and sees nothing of it"

    dependencies = [("spool", "0057_objects_in_a_bucket")]

    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
