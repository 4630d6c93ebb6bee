"""Who did what to the spool."""

from django.db import models


class AuditEvent(models.Model):
    """One action of one person: on what, on how many, with what outcome. Only ever added and then completed."""

    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=254)
    source = models.CharField(max_length=10, default="page", help_text="page, shell or system")
    action = models.CharField(max_length=30)
    on = models.TextField(blank=True, default="", help_text="The filter or the file names, in words.")
    filter = models.JSONField(default=dict, blank=True)
    parameters = models.JSONField(default=dict, blank=True)
    matched = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    outcome = models.CharField(max_length=500, blank=True, default="")
    undone = models.PositiveIntegerField(default=0, help_text="How many of them were restored since.")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor}: {self.action} {self.outcome}"
