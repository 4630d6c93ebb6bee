"""Due mail for this server alone is found by itself, however much is due for others."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("spool", "0009_fill_address_keys")]

    operations = [
        migrations.AddIndex(
            model_name="entry",
            index=models.Index(
                condition=models.Q(("direction", 1), ("due_at__isnull", False)),
                fields=["priority", "due_at"],
                name="entry_lease_local",
            ),
        ),
    ]
