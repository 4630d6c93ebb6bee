"""Messages that an administrator took out of the spool, until that can't be undone any more."""

from django.db import models

from spool.models.audit import AuditEvent


class TrashState(models.TextChoices):
    """Where the message file belongs. What a crash leaves MOVING is finished or taken back by the maintenance job."""

    TRASHED = "trashed", "Deleted"
    MOVING = "moving", "Its file is on the way to a folder"
    MOVED = "moved", "Moved to a folder"


class Trashed(models.Model):
    """One entry with its recipients, as they were. The primary key is the entry's.

    Until its file has reached the trash it is still at its place in the spool: whoever needs it looks at both.
    """

    id = models.BigIntegerField(primary_key=True)
    file_name = models.CharField(max_length=40)
    subspool = models.CharField(max_length=60)
    sender = models.CharField(max_length=320, blank=True, default="")
    subject = models.CharField(max_length=255, blank=True, default="")
    size_bytes = models.BigIntegerField()
    state = models.CharField(max_length=7, choices=TrashState)
    target = models.TextField(blank=True, default="", help_text="Folder that it was moved to.")
    at = models.DateTimeField()
    event = models.ForeignKey(AuditEvent, on_delete=models.PROTECT, related_name="trashed", db_constraint=False)
    entry = models.JSONField(help_text="The entry's columns.")
    recipients = models.JSONField(help_text="Its recipients' columns.")

    class Meta:
        verbose_name_plural = "trashed"
        indexes = [
            models.Index(fields=["file_name"], name="trashed_file_name"),
            models.Index(fields=["at"], name="trashed_at"),
            models.Index(fields=["id"], name="trashed_open", condition=models.Q(state="moving")),
        ]

    def __str__(self) -> str:
        return self.file_name
