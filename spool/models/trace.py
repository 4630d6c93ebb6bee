"""What became of messages that left the spool."""

from django.db import models

from spool.models.recipient import Kind, Outcome


class Trace(models.Model):
    """The final outcome of one recipient, kept for the days that Settings say. Its attempts share the file name."""

    file_name = models.CharField(max_length=40, db_index=True)
    sender = models.CharField(max_length=320, blank=True, default="", db_index=True)
    recipient = models.CharField(max_length=320, db_index=True)
    kind = models.CharField(max_length=6, choices=Kind)
    outcome = models.CharField(max_length=11, choices=Outcome)
    reply = models.CharField(max_length=500, blank=True, default="")
    host = models.CharField(max_length=255, blank=True, default="")
    auth_user = models.CharField(max_length=254, blank=True, default="")
    client_ip = models.CharField("client IP", max_length=45, blank=True, default="", db_index=True)
    subject = models.CharField(max_length=255, blank=True, default="")
    message_id = models.CharField("Message-ID", max_length=255, blank=True, default="", db_index=True)
    size_bytes = models.BigIntegerField("size")
    attempts = models.PositiveIntegerField()
    created = models.DateTimeField()
    ended = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.file_name} {self.recipient} {self.outcome}"
