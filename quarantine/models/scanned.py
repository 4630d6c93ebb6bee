"""What was found out about messages that come by again."""

from django.db import models

from quarantine.models.item import ItemKind


class Scanned(models.Model):
    """One check has answered for one entry, which now waits or will be tried again: its file never changes.

    It only saves work: a row that is lost, or was never written since a worker was killed, has the entry checked again.
    """

    entry_id = models.BigIntegerField()
    kind = models.CharField(max_length=5, choices=ItemKind)
    at = models.DateTimeField()
    findings = models.JSONField(default=list, help_text="What the checks for spam said.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["entry_id", "kind"], name="scanned_entry_kind")]

    def __str__(self) -> str:
        return f"{self.entry_id}: {self.kind}"
