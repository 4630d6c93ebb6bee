from django.db import migrations, models

from accounts.index_building import every_index


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("spool", "0033_turn_of_sender")]

    operations = every_index(
        "entry",
        models.Index(
            condition=models.Q(("turn_at__isnull", False)),
            fields=["direction", "priority", "turn_at"],
            name="entry_turn",
        ),
    )
