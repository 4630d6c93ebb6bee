"""Whether a route's password goes to a host with a valid certificate only: yes, but for those that work without now."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models


def _leave_what_works(apps: Any, schema_editor: Any) -> None:
    routes = apps.get_model("spool", "Route").objects.exclude(username="")
    routes.exclude(tls__in=("verify", "implicit")).update(verify_for_login=False)


class Migration(migrations.Migration):
    safe_because = "It fills the column that it adds, in a table of few rows; the version before does not read it."
    dependencies = [("spool", "0003_installation")]

    operations = [
        migrations.AddField(
            model_name="route",
            name="verify_for_login",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text=(
                    "With a user name: the host must prove who it is, as with “Require encryption and a valid certificate”. "
                    "Without this, whoever can answer in the host's place reads the password."
                ),
                verbose_name="send the password to a valid certificate only",
            ),
        ),
        migrations.RunPython(_leave_what_works, migrations.RunPython.noop),
    ]
