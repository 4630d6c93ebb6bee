"""What the DNS was found to say about our domains and this host, record by record."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _lazy

from base import facts


class RecordState(models.TextChoices):
    """How good what was found is."""

    RIGHT = "right", _lazy("Right")
    WRONG = "wrong", _lazy("Wrong")
    MISSING = "missing", _lazy("Missing")
    # It is not there, and mail goes without.
    OPTIONAL = "optional", _lazy("Optional")
    # The DNS did not answer, or nobody can tell.
    UNKNOWN = "unknown", _lazy("Not known")


BAD = (RecordState.WRONG, RecordState.MISSING)


# The purpose of what DNS lists say of our addresses.
BLOCK_LIST: Final = "Block list"


class DomainRecord(models.Model):
    """One record as it was at the last look. The host's own are those of no domain."""

    domain = models.CharField(max_length=253, blank=True)
    purpose = models.CharField(max_length=10)
    name = models.CharField(max_length=320)
    kind = models.CharField(max_length=8)
    place = models.PositiveSmallIntegerField(help_text="Among those of its domain.")
    wanted = models.TextField(blank=True, default="")
    found = models.TextField(blank=True, default="", help_text="A line for each record.")
    state = models.CharField(max_length=8, choices=RecordState)
    # In English, for commands and logs, and what is shown of it (base.facts).
    sentence = models.CharField(max_length=500, blank=True, default="")
    fact = models.JSONField(null=True)
    checked = models.DateTimeField()
    was_right = models.DateTimeField(null=True, help_text="When it was right last; empty for one that never was.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["domain", "purpose", "name", "kind"], name="dns_record_once")]
        indexes = [models.Index(fields=["checked"], name="dns_record_checked")]
        ordering = ["domain", "place"]

    def __str__(self) -> str:
        return f"{self.purpose} {self.name}"

    @property
    def said(self) -> str:
        """What is so, in the active language."""
        return facts.shown_for(self.sentence, self.fact)
