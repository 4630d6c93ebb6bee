"""Who may send as whom: what a user who has logged in may give as sender, in the envelope and in the From header."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _lazy

from accounts.models.spam import INHERIT


class SendAs(models.TextChoices):
    """From the strictest on. Own are a user's address, also with a +tag, and the aliases that lead to the user."""

    OWN = "own", _lazy("Own addresses and aliases")
    ENVELOPE = "envelope", _lazy("Own addresses as envelope sender, anything in From")
    DOMAIN = "domain", _lazy("Any address of the own domain")
    ANY = "any", _lazy("Any address")


class SendAsChoice(models.Model):
    """Mixed into domains and users. What a user leaves empty the domain decides, what it leaves empty the server."""

    send_as = models.CharField(
        _lazy("may send as"),
        max_length=8,
        blank=True,
        default=INHERIT,
        db_default=INHERIT,
        choices=[(INHERIT, _lazy("Use the default")), *SendAs.choices],
        help_text=_lazy("Which sender addresses are accepted after login, in the envelope and in the From header."),
    )

    class Meta:
        abstract = True
