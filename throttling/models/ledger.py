"""What was counted, and what waits: the truth from which the counters in Redis are filled."""

from django.db import models

from accounts.models import Metric
from throttling.subjects import SubjectKind


class Passage(models.Model):
    """A message that counted for somebody with limits, and went on. Kept for a few hours.

    Names are empty where it counts for nobody of that kind, or where what was counted has been reset. A message is here
    once: one that comes again (after a crash, a reset of its retries) is neither counted nor held any more.
    """

    file_name = models.CharField(max_length=40)
    at = models.BigIntegerField(help_text="UNIX time, in seconds.")
    sender = models.CharField(max_length=254, blank=True, default="", help_text="The user or mailing list.")
    domain = models.CharField(max_length=255, blank=True, default="")
    client_ip = models.CharField(max_length=45, blank=True, default="")
    recipients = models.PositiveIntegerField()
    size_bytes = models.BigIntegerField(help_text="Of one copy.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["file_name"], name="passage_file_name")]
        indexes = [
            models.Index(fields=["sender", "at"], name="passage_sender", condition=~models.Q(sender="")),
            models.Index(fields=["domain", "at"], name="passage_domain", condition=~models.Q(domain="")),
            models.Index(fields=["client_ip", "at"], name="passage_client_ip", condition=~models.Q(client_ip="")),
            models.Index(fields=["at"], name="passage_at"),
        ]

    def __str__(self) -> str:
        return self.file_name


class HeldEntry(models.Model):
    """An entry of the spool that waits for one subject's limit."""

    # The entry's id. No constraint in the database: what has left the spool is swept.
    entry_id = models.BigIntegerField(primary_key=True)
    kind = models.CharField(max_length=6, choices=SubjectKind)
    name = models.CharField(max_length=255)
    metric = models.CharField(max_length=10, choices=Metric)
    cost = models.BigIntegerField()
    since = models.DateTimeField()
    until = models.DateTimeField(help_text="When it is looked at again.")

    class Meta:
        verbose_name_plural = "held entries"
        indexes = [models.Index(fields=["name", "kind", "metric", "entry_id"], name="held_queue")]

    def __str__(self) -> str:
        return f"{self.entry_id} for {self.name}"
