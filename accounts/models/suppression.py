"""What a domain does about recipients that bounced for good, or complained; the spool keeps the list of them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _lazy


class SuppressionMode(models.TextChoices):
    """What follows for mail of a domain's senders to an address on its list."""

    OFF = "off", _lazy("Keep no list")
    NOTE = "note", _lazy("Keep a list, send all the same")
    REFUSE = "refuse", _lazy("Refuse mail to them when it is handed in")
    BOUNCE = "bounce", _lazy("Accept mail to them, and bounce it")


class SuppressionChoice(models.Model):
    """Mixed into domains."""

    suppression = models.CharField(
        _lazy("dead and complaining recipients"),
        max_length=6,
        choices=SuppressionMode,
        default=SuppressionMode.NOTE,
        db_default=SuppressionMode.NOTE,
        help_text=_lazy(
            "Addresses elsewhere to which mail of this domain bounced for good, or whose readers complained, are listed on the"
            " page Suppressed addresses. What is sent to them all the same costs reputation."
        ),
    )

    class Meta:
        abstract = True
