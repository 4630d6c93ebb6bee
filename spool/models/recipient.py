"""One addressee of an entry."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from spool.models.entry import Entry
from spool.models.key_column import key_column, keyed


class Kind(models.TextChoices):
    """Whether a recipient is delivered here or handed on."""

    LOCAL = "local", _("Local")
    REMOTE = "remote", _("Remote")


class Outcome(models.TextChoices):
    """What became of a recipient; everything but `pending` is final."""

    PENDING = "pending", _("Pending")
    DELIVERED = "delivered", _("Delivered")
    BOUNCED = "bounced", _("Bounced")
    EXPIRED = "expired", _("Expired")
    REMOVED = "removed", _("Removed")
    QUARANTINED = "quarantined", _("Quarantined")


class RecipientColumns(models.Model):
    """The columns of a recipient, which the trash has too."""

    address = models.CharField(max_length=320)
    domain = models.CharField(max_length=255)
    kind = models.CharField(max_length=6, choices=Kind)
    status = models.CharField(max_length=11, choices=Outcome, default=Outcome.PENDING)
    original = models.CharField(
        max_length=320, blank=True, default="", help_text="The address that was written, when an alias led here."
    )
    address_key = key_column("The address's key where it is written otherwise.")
    original_key = key_column("The original's key.")
    notify = models.CharField(
        max_length=30, blank=True, default="", help_text="RFC 3461 NOTIFY, upper case; empty when not given."
    )
    orcpt = models.CharField(max_length=500, blank=True, default="", help_text="RFC 3461 ORCPT, as given.")
    last_reply = models.CharField(max_length=500, blank=True, default="")
    last_host = models.CharField(max_length=255, blank=True, default="")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.address


class Recipient(RecipientColumns):
    """A forward-path of an entry, with its own outcome and RFC 3461 parameters."""

    # No constraint in the database: it would cost a query per row on the hot path. Entry and recipients are inserted
    # and removed in one transaction, by spool.rows.statements alone; the doctor looks for strays.
    entry = models.ForeignKey(Entry, on_delete=models.CASCADE, related_name="recipients", db_constraint=False)

    class Meta:
        indexes = [
            models.Index(fields=["address", "entry"], name="recipient_address"),
            models.Index(fields=["domain", "entry"], name="recipient_domain"),
            keyed("recipient_key", "address_key", "entry"),
            keyed("recipient_original", "original_key", "entry"),
        ]
