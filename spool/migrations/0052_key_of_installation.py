"""Which key stored credentials are sealed with, by its digest: another machine's home must have the same."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    safe_because = "The column has a default of the database."
    dependencies = [("spool", "0051_block_lists")]

    operations = [
        migrations.AddField(
            "installation",
            "sealed_with",
            models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
        ),
    ]
