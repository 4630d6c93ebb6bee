"""Messages that an administrator took out of the spool, until that can't be undone any more."""

from django.db import models
from django.utils.translation import gettext_lazy as _lazy

from base.audit.models import AuditEvent
from spool.models.entry import EntryColumns
from spool.models.key_column import keyed
from spool.models.recipient import Outcome, RecipientColumns
from spool.models.trace import Trace


class TrashState(models.TextChoices):
    """Where the message file belongs. What a crash leaves MOVING is finished or taken back by the maintenance job."""

    TRASHED = "trashed", _lazy("Deleted")
    MOVING = "moving", _lazy("Its file is on the way to a folder")
    MOVED = "moved", _lazy("Moved to a folder")


class Trashed(EntryColumns):
    """One entry as it was. The primary key is the entry's. Its file stays at its place in the spool unless it MOVED."""

    id = models.BigIntegerField(primary_key=True)
    reply = models.CharField(max_length=500, help_text="What the trace says of its open recipients.")
    state = models.CharField(max_length=7, choices=TrashState)
    target = models.TextField(blank=True, default="", help_text="Folder that it was moved to.")
    fingerprint = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="Of the bytes that were moved there."
    )
    at = models.DateTimeField()
    event = models.ForeignKey(
        AuditEvent, on_delete=models.PROTECT, related_name="trashed", db_constraint=False, db_index=False
    )

    class Meta:
        verbose_name_plural = "trashed"
        # The trace is searched in the trash too, by the same things.
        indexes = [
            models.Index(fields=["event", "id"], name="trashed_event"),
            models.Index(fields=["file_name"], name="trashed_file_name"),
            models.Index(fields=["at"], name="trashed_at"),
            models.Index(fields=["sender"], name="trashed_sender"),
            keyed("trashed_sender_key", "sender_key"),
            models.Index(fields=["client_ip"], name="trashed_client_ip"),
            models.Index(fields=["message_id"], name="trashed_message_id"),
            models.Index(fields=["id"], name="trashed_open", condition=models.Q(state="moving")),
        ]


class TrashedRecipient(RecipientColumns):
    """A recipient of such an entry, as it was."""

    id = models.BigIntegerField(primary_key=True)
    entry = models.ForeignKey(Trashed, on_delete=models.CASCADE, related_name="recipients", db_constraint=False)

    class Meta:
        indexes = [
            models.Index(fields=["address"], name="trashed_address"),
            keyed("trashed_key", "address_key"),
            keyed("trashed_original", "original_key"),
        ]

    def as_trace(self) -> Trace:
        """What the trace will say of a recipient that was still open. It is not saved; its key is the recipient's."""
        entry = self.entry
        names = (
            "file_name",
            "sender",
            "sender_key",
            "auth_user",
            "client_ip",
            "ehlo_name",
            "tls",
            "port",
            "subject",
            "message_id",
            "size_bytes",
            "attempts",
            "created",
        )
        return Trace(
            pk=self.pk,
            recipient=self.address,
            recipient_key=self.address_key,
            original=self.original_key,
            kind=self.kind,
            outcome=Outcome.REMOVED,
            reply=entry.reply,
            ended=entry.at,
            **{name: getattr(entry, name) for name in names},
        )
