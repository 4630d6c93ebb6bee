"""What a user has sent is found by itself in the trace, however much of it there is."""

from django.db import migrations, models

from accounts.index_building import AddIndexBesideMail


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("spool", "0029_help_of_settings")]

    operations = [
        AddIndexBesideMail(
            model_name="trace",
            index=models.Index(
                condition=models.Q(("auth_user", ""), _negated=True),
                fields=["auth_user", "ended"],
                name="trace_auth_user",
            ),
        ),
    ]
