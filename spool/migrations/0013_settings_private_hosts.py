"""No mail for hosts to which the DNS gives a private address, but in an installation that has users already.

There it stays as it was: its mail may go to hosts inside by their MX records.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations, models


def _leave_as_it_was(apps: Any, schema_editor: Any) -> None:
    if apps.get_model("accounts", "User").objects.exists():
        settings, _ = apps.get_model("spool", "Settings").objects.get_or_create(pk=1)
        settings.private_hosts = True
        settings.save(update_fields=["private_hosts"])


class Migration(migrations.Migration):
    safe_because = "It fills the column that it adds, in one row; the version before does not read it."
    dependencies = [("spool", "0012_moved_fingerprint"), ("accounts", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="settings",
            name="private_hosts",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text=(
                    "Whether mail goes to hosts for which the DNS names a loopback, private or otherwise special address,"
                    " which anybody may write there for a domain of theirs. Routes go anywhere."
                ),
                verbose_name="send to private addresses",
            ),
        ),
        migrations.RunPython(_leave_as_it_was, migrations.RunPython.noop),
    ]
