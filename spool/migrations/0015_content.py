"""Messages without a file: their content in a table of its own, in which rows live for less than a second.

PostgreSQL is to keep them as they are, for packing takes longer than it saves, and to clear up behind them soon.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations, models


def _for_short_lives(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE spool_content ALTER COLUMN content SET STORAGE EXTERNAL")
        schema_editor.execute(
            "ALTER TABLE spool_content SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,"
            " autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000,"
            " autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0,"
            " autovacuum_analyze_threshold = 100000, toast.autovacuum_vacuum_scale_factor = 0,"
            " toast.autovacuum_vacuum_threshold = 1000, toast.autovacuum_vacuum_cost_delay = 0)"
        )


class Migration(migrations.Migration):
    safe_because = "The table is new, and the version before does not know it."
    dependencies = [("spool", "0014_traffic_by_window")]

    operations = [
        migrations.CreateModel(
            name="Content",
            fields=[
                ("entry_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("content", models.BinaryField()),
            ],
        ),
        migrations.RunPython(_for_short_lives, migrations.RunPython.noop),
    ]
