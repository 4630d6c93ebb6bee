"""Which senders are taken from a domain's users, and from a user: their own rule, empty for the server's."""

from django.db import migrations, models

_CHOICES = [
    ("", "No choice of its own"),
    ("own", "Own addresses and aliases"),
    ("envelope", "Own addresses as envelope sender, anything in From"),
    ("domain", "Any address of the own domain"),
    ("any", "Any address"),
]


def _send_as() -> models.CharField:
    return models.CharField(
        blank=True,
        choices=_CHOICES,
        db_default="",
        default="",
        help_text="Which senders are taken from those who have logged in, in the envelope and in the From header.",
        max_length=8,
        verbose_name="may send as",
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.AddField(model_name="domain", name="send_as", field=_send_as()),
        migrations.AddField(model_name="user", name="send_as", field=_send_as()),
    ]
