"""Who has come from where to write to whom: what greylisting remembers.

In the database, not in Redis: it has to outlive restarts and a Redis that is emptied, or else all mail of strangers
would be made to wait anew.
"""

from __future__ import annotations

from django.db import models


class Greylisted(models.Model):
    """A network, a sender and a recipient that were seen together. `key` is a digest of the three."""

    key = models.CharField(max_length=32, unique=True)
    network = models.CharField(max_length=43)
    sender = models.CharField(max_length=320, blank=True, default="")
    recipient = models.CharField(max_length=320)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    passed = models.BooleanField(default=False)

    class Meta:
        # For the sweep and for the counts.
        indexes = [models.Index(fields=["passed", "last_seen"], name="greylisted_seen")]

    def __str__(self) -> str:
        return f"{self.network} <{self.sender}> <{self.recipient}>"


class GreylistClient(models.Model):
    """A network that has come back for so many messages."""

    network = models.CharField(max_length=43, unique=True)
    passes = models.PositiveIntegerField(default=0)
    last_seen = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.network
