"""Hosts that did not answer, and until when they are left alone."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class RestingHost(models.Model):
    """The last rest of one host, running or over (spool.delivery.remote.backoff)."""

    name = models.CharField(
        max_length=255, help_text="Its address and port, and what was agreed on before it was connected to."
    )
    until = models.DateTimeField()
    seconds = models.FloatField(help_text="How long it was; 0: the host has answered since.")
    reason = models.CharField(max_length=500, help_text="What the last connection failed of.")
    domains = models.JSONField(default=list, help_text="Whose mail waits for it.")
    error_groups = models.JSONField(default=list, help_text="What that was told (Entry.error_group).")
    changed = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["name"], name="resting_host_name")]

    def __str__(self) -> str:
        return self.name
