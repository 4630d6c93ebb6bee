from django.db import migrations, models

TURN = models.DateTimeField(
    blank=True, help_text="Set while it is more than its sender's share.", null=True, verbose_name="its sender's turn"
)


class Migration(migrations.Migration):
    dependencies = [("spool", "0032_rewrite_forwarded_senders")]

    operations = [
        migrations.AddField(model_name="entry", name="turn_at", field=TURN),
        migrations.AddField(model_name="trashed", name="turn_at", field=TURN),
    ]
