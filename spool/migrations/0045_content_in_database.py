"""Content that has its place in the database: messages in parts of rows, and which home has the files of the others.

PostgreSQL is to keep parts as they are, for packing takes longer than it saves, and to clear up behind them soon.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations, models


def _as_content(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE spool_contentpart ALTER COLUMN content SET STORAGE EXTERNAL")
        schema_editor.execute(
            "ALTER TABLE spool_contentpart SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,"
            " autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0,"
            " autovacuum_analyze_threshold = 100000, toast.autovacuum_vacuum_scale_factor = 0,"
            " toast.autovacuum_vacuum_threshold = 10000, toast.autovacuum_vacuum_cost_delay = 0)"
        )


class Migration(migrations.Migration):
    safe_because = "The table is new, and columns are null or have a default of the database."
    dependencies = [("spool", "0044_destination_rules")]

    operations = [
        migrations.CreateModel(
            name="ContentPart",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "entry_id", "part", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("entry_id", models.BigIntegerField()),
                ("part", models.PositiveIntegerField()),
                ("content", models.BinaryField()),
            ],
        ),
        migrations.AddField("content", "parts", models.PositiveIntegerField(null=True)),
        migrations.AddField(
            "installation", "files_at", models.TextField(blank=True, db_default="", default="", editable=False)
        ),
        migrations.AddField("installation", "files_in", models.UUIDField(editable=False, null=True)),
        migrations.RunPython(_as_content, migrations.RunPython.noop),
    ]
