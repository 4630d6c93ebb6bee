"""The limits that domains and users share with their templates."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models


class DomainLimits(models.Model):
    """What a system administrator grants a domain."""

    max_users = models.PositiveIntegerField("users", default=0, help_text="How many users it may have; 0 for no limit.")
    max_message_kb = models.PositiveIntegerField(
        "message size (KB)",
        default=0,
        validators=[MaxValueValidator(2_000_000)],
        help_text="Largest message its users may send; 0 leaves the server's limit.",
    )
    max_recipients = models.PositiveIntegerField(
        "recipients per message",
        default=0,
        validators=[MaxValueValidator(100_000)],
        help_text="For messages its users send; 0 leaves the server's limit.",
    )

    class Meta:
        abstract = True


class UserLimits(models.Model):
    """What a user is granted."""

    mailbox_mb = models.PositiveIntegerField(
        "mailbox size (MB)", default=0, validators=[MinValueValidator(0)], help_text="0 for no limit."
    )
    max_message_kb = models.PositiveIntegerField(
        "message size (KB)",
        default=0,
        validators=[MaxValueValidator(2_000_000)],
        help_text="Largest message the user may send; 0 leaves the domain's limit.",
    )
    max_recipients = models.PositiveIntegerField(
        "recipients per message",
        default=0,
        validators=[MaxValueValidator(100_000)],
        help_text="For messages the user sends; 0 leaves the domain's limit.",
    )

    class Meta:
        abstract = True
