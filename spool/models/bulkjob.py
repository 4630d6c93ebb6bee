"""Large work, done in chunks by a maintenance worker."""

from django.db import models
from django.utils.translation import gettext_lazy as _lazy

from base.audit.models import AuditEvent


class JobState(models.TextChoices):
    """The life of a job. The last three are final."""

    QUEUED = "queued", _lazy("Queued")
    RUNNING = "running", _lazy("Running")
    DONE = "done", _lazy("Done")
    CANCELLED = "cancelled", _lazy("Cancelled")
    FAILED = "failed", _lazy("Failed")


OPEN = (JobState.QUEUED, JobState.RUNNING)


class BulkJob(models.Model):
    """An action on all that a filter matched when it was asked for.

    `cursor` is the last row that is finished, committed together with that row's change: whoever holds the lease goes
    on there. `last_id` bounds the work to what was in the spool when the job was made.
    """

    action = models.CharField(max_length=30)
    filter = models.JSONField(default=dict, blank=True)
    ids = models.JSONField(default=list, blank=True, help_text="Entries, when they were chosen one by one.")
    parameters = models.JSONField(default=dict, blank=True)
    actor = models.CharField(max_length=254)
    state = models.CharField(max_length=10, choices=JobState, default=JobState.QUEUED)
    total = models.PositiveIntegerField(default=0, help_text="How many matched; an estimate until it has ended.")
    done = models.PositiveIntegerField(default=0)
    busy = models.PositiveIntegerField(default=0, help_text="Left alone: they were being delivered.")
    skipped = models.PositiveIntegerField(default=0, help_text="Left alone for another reason, or gone meanwhile.")
    problem = models.CharField(max_length=500, blank=True, default="", help_text="Why some were skipped.")
    error = models.CharField(max_length=500, blank=True, default="")
    cursor = models.BigIntegerField(default=0)
    last_id = models.BigIntegerField(default=0)
    leased_by = models.CharField(max_length=60, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    created = models.DateTimeField()
    started = models.DateTimeField(null=True, blank=True)
    ended = models.DateTimeField(null=True, blank=True)
    event = models.ForeignKey(AuditEvent, on_delete=models.PROTECT, related_name="jobs")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["id"], name="bulkjob_open", condition=models.Q(state__in=("queued", "running"))),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.done} of {self.total}, {self.state}"

    @property
    def seen(self) -> int:
        return self.done + self.busy + self.skipped

    @property
    def percent(self) -> int:
        """Progress for a bar, 0 to 100."""
        if self.state == JobState.DONE:
            return 100
        return min(99, self.seen * 100 // self.total) if self.total else 0

    @property
    def ended_or_cancelled(self) -> bool:
        return self.state in (JobState.DONE, JobState.CANCELLED, JobState.FAILED)
