"""Which senders are taken from who has logged in: their own, but in an installation that has users already.

There it stays as it was: own addresses in the envelope, anything in From.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations, models


def _leave_as_it_was(apps: Any, schema_editor: Any) -> None:
    if apps.get_model("accounts", "User").objects.exists():
        settings, _ = apps.get_model("spool", "Settings").objects.get_or_create(pk=1)
        settings.send_as = "envelope"
        settings.save(update_fields=["send_as"])


class Migration(migrations.Migration):
    safe_because = "It fills the column that it adds, in one row; the version before does not read it."
    dependencies = [("spool", "0005_entry_ours"), ("accounts", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="settings",
            name="send_as",
            field=models.CharField(
                choices=[
                    ("own", "Own addresses and aliases"),
                    ("envelope", "Own addresses as envelope sender, anything in From"),
                    ("domain", "Any address of the own domain"),
                    ("any", "Any address"),
                ],
                db_default="own",
                default="own",
                help_text=(
                    "Which senders are taken from those who have logged in, in the envelope and in the From header. "
                    "Domains and users may have a rule of their own."
                ),
                max_length=8,
                verbose_name="users may send as",
            ),
        ),
        migrations.RunPython(_leave_as_it_was, migrations.RunPython.noop),
    ]
