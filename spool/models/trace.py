"""What became of messages that left the spool."""

from django.db import models

from spool.models.key_column import key_column, keyed
from spool.models.recipient import Kind, Outcome


class Trace(models.Model):
    """The final outcome of one recipient, kept for the days that Settings say. Its attempts share the file name."""

    file_name = models.CharField(max_length=40)
    sender = models.CharField(max_length=320, blank=True, default="")
    sender_key = key_column("The sender's key where it is written otherwise.")
    recipient = models.CharField(max_length=320)
    recipient_key = key_column("The recipient's key where it is written otherwise.")
    original = key_column("Key of the address that was written, when an alias or a list led to the recipient.")
    kind = models.CharField(max_length=6, choices=Kind)
    outcome = models.CharField(max_length=11, choices=Outcome)
    reply = models.CharField(max_length=500, blank=True, default="")
    host = models.CharField(max_length=255, blank=True, default="")
    auth_user = models.CharField(max_length=254, blank=True, default="")
    client_ip = models.CharField("client IP", max_length=45, blank=True, default="")
    ehlo_name = models.CharField("EHLO name", max_length=255, blank=True, default="")
    tls = models.CharField("TLS", max_length=60, blank=True, default="", help_text="Of the session it came in by.")
    port = models.PositiveIntegerField(default=0, help_text="Port it came in by; 0 when it was none.")
    subject = models.CharField(max_length=255, blank=True, default="")
    message_id = models.CharField("Message-ID", max_length=255, blank=True, default="")
    size_bytes = models.BigIntegerField("size")
    attempts = models.PositiveIntegerField()
    created = models.DateTimeField()
    ended = models.DateTimeField()

    class Meta:
        # Each serves its search newest first. Not db_index=True: on PostgreSQL that makes a second one, for LIKE.
        indexes = [
            models.Index(fields=["file_name"], name="trace_file_name"),
            models.Index(fields=["sender", "ended"], name="trace_sender"),
            models.Index(fields=["recipient", "ended"], name="trace_recipient"),
            keyed("trace_sender_key", "sender_key", "ended"),
            keyed("trace_recipient_key", "recipient_key", "ended"),
            keyed("trace_original", "original", "ended"),
            models.Index(fields=["client_ip", "ended"], name="trace_client_ip"),
            # Relayed mail, which nobody has logged in for, costs nothing by it.
            models.Index(fields=["auth_user", "ended"], name="trace_auth_user", condition=~models.Q(auth_user="")),
            models.Index(fields=["message_id"], name="trace_message_id"),
            models.Index(fields=["ended"], name="trace_ended"),
        ]

    def __str__(self) -> str:
        return f"{self.file_name} {self.recipient} {self.outcome}"
