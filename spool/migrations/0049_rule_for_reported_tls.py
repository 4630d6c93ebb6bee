"""A rule for TLS that others say fails, in installations that have run already: it tells nobody by mail."""

from django.db import migrations


def make(apps, schema_editor):
    if not apps.get_model("spool", "TrafficState").objects.exists():
        # Nothing was ever counted here: it is new, and gets its rules when it is prepared (spool.alerts.defaults).
        return
    rules = apps.get_model("spool", "AlertRule").objects
    if not rules.filter(kind="tls-reported").exists():
        rules.get_or_create(
            name="Failing TLS reported by others",
            defaults={"kind": "tls-reported", "threshold": 1, "ends_below": 100, "minutes": 10, "at_least": 50},
        )


class Migration(migrations.Migration):
    safe_because = "the version before has no watch of the new kind, and sees nothing of it"

    dependencies = [("spool", "0048_mail_reports")]

    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
