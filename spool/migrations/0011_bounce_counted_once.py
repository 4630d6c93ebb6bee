"""A bounce is counted for a line of the trace, and once for each."""

from django.db import migrations, models


class Migration(migrations.Migration):
    # The table has what was returned in some weeks, and nobody waits to write to it but for that.
    safe_because = "the column is new and null in every row: the index has nothing to build"

    dependencies = [("spool", "0010_lease_local")]

    operations = [
        migrations.AddField(
            model_name="receivedbounce",
            name="trace_id",
            field=models.BigIntegerField(
                editable=False,
                help_text="The line of the trace that it is about; counted once.",
                null=True,
                unique=True,
            ),
        ),
    ]
