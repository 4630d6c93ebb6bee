"""One message that a scanning stage took out of the spool."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings as django_settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from base import stored_texts
from base.audit.models import AuditEvent
from spool.files import store
from spool.message.held import Source
from spool.models.content import IN_DATABASE
from spool.models.entry import Direction
from spool.models.key_column import key_column, keyed
from spool.places import trash


class ItemKind(models.TextChoices):
    """Which of the two quarantines."""

    SPAM = "spam", _("Spam")
    VIRUS = "virus", _("Virus")


class ItemState(models.TextChoices):
    """What became of it since. Only what is held is in the lists; the rest is kept for Undo.

    What a crash leaves MOVING is finished or taken back by the maintenance job.
    """

    HELD = "held", _("In quarantine")
    DELETED = "deleted", _("Deleted")
    MOVING = "moving", _("Its file is on the way to a folder")
    MOVED = "moved", _("Moved to a folder")


class Item(models.Model):
    """An entry with its recipients, as they were, and why it was taken.

    Where its subspool is the database it has no file: its content stays in rows under its entry's id. Else its file is
    at its place in the spool until it has reached the quarantine's folder, because a crash may come
    between: whoever needs it looks at both. Resend makes the entry anew, with the same id, and this row goes in the
    same transaction: no message is ever in both places.
    """

    entry_id = models.BigIntegerField()
    kind = models.CharField(max_length=5, choices=ItemKind)
    state = models.CharField(max_length=7, choices=ItemState, default=ItemState.HELD)
    file_name = models.CharField(_("file name"), max_length=40)
    subspool = models.CharField(max_length=60)
    sender = models.CharField(max_length=320, blank=True, default="")
    sender_domain = models.CharField(max_length=255, blank=True, default="")
    sender_key = key_column("The sender's key where it is written otherwise.")
    addresses = models.TextField(_("recipients"), blank=True, default="", help_text="One per line.")
    subject = models.CharField(max_length=255, blank=True, default="")
    message_id = models.CharField(_("Message-ID"), max_length=255, blank=True, default="")
    client_ip = models.CharField(_("client IP"), max_length=45, blank=True, default="")
    auth_user = models.CharField(_("authenticated user"), max_length=254, blank=True, default="")
    direction = models.PositiveSmallIntegerField(choices=Direction)
    size_bytes = models.BigIntegerField(_("size"))
    attempts = models.PositiveIntegerField(default=0)
    recipients_total = models.PositiveIntegerField(_("recipients"))
    recipients_done = models.PositiveIntegerField(_("delivered"), default=0)
    created = models.DateTimeField(_("came in"))
    at = models.DateTimeField(_("date"))
    removal = models.DateTimeField(_("time of removal"))
    why = models.CharField(max_length=255, help_text="The signature and its scanner, or the score.")
    score = models.FloatField(null=True, blank=True)
    findings = models.JSONField(default=list, blank=True, help_text="What each scanner or check said.")
    asked_by = models.CharField(_("release requested by"), max_length=254, blank=True, default="", db_default="")
    asked_at = models.DateTimeField(_("release requested"), null=True, blank=True)
    told_at = models.DateTimeField(_("administrators told of the request"), null=True, blank=True)
    blocked_by = models.CharField(
        max_length=254, blank=True, default="", db_default="", help_text="The user who blocks its sender, and got it."
    )
    target = models.TextField(blank=True, default="", help_text="Folder that it was moved to.")
    fingerprint = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="Of the bytes that were moved there."
    )
    gone_at = models.DateTimeField(null=True, blank=True, help_text="When it was deleted or moved.")
    event = models.ForeignKey(
        AuditEvent,
        on_delete=models.PROTECT,
        related_name="quarantine_items",
        db_constraint=False,
        db_index=False,
        null=True,
        blank=True,
    )
    entry = models.JSONField(help_text="The entry's columns.")
    recipients = models.JSONField(help_text="Its recipients' columns.")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["entry_id"], name="item_entry"),
            models.UniqueConstraint(fields=["file_name"], name="item_file_name"),
        ]
        indexes = [
            # One for each order of the lists; some answer a condition as well.
            *(
                models.Index(fields=["state", "kind", *columns, "id"], name=f"item_{name}")
                for name, columns in {
                    "list": (),
                    "by_name": ("file_name",),
                    "by_sender": ("sender_domain", "sender"),
                    "by_recipients": ("recipients_total",),
                    "by_size": ("size_bytes",),
                    "by_attempts": ("attempts",),
                    "by_removal": ("removal",),
                    "by_ip": ("client_ip",),
                    "by_user": ("auth_user",),
                    "by_message_id": ("message_id",),
                }.items()
            ),
            keyed("item_sender_key", "sender_key", "id"),
            models.Index(fields=["sender_domain", "asked_at"], name="item_asked", condition=Q(asked_at__isnull=False)),
            models.Index(fields=["at", "id"], name="item_at"),
            models.Index(fields=["removal", "id"], name="item_removal"),
            models.Index(fields=["gone_at", "id"], name="item_gone", condition=~Q(state="held")),
            # Nearly all have no event: to SQLite's planner a whole index would seem to tell nothing apart.
            models.Index(fields=["event", "id"], name="item_event", condition=Q(event__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.file_name

    @property
    def reason(self) -> str:
        """`why` in the language that is active: the score is known by itself, names are left as they are."""
        head, colon, names = self.why.partition(": ")
        if self.score is None or head != f"{self.score:g} points":
            return stored_texts.said(self.why)
        points = ngettext("%(score)s point", "%(score)s points", 1 if self.score == 1 else 2)
        return f"{points % {'score': f'{self.score:g}'}}{colon}{names}"

    @property
    def in_spool(self) -> Path:
        """Where its file is before it has reached the quarantine."""
        return store.path_of(self.subspool, self.file_name)

    @property
    def in_quarantine(self) -> Path:
        """Where its file belongs."""
        return root() / self.kind / f"{self.at:%Y-%m-%d}" / self.file_name

    @property
    def path(self) -> Path:
        """Where its file is now, if anywhere."""
        here = self.in_quarantine
        return here if here.exists() else self.in_spool

    @property
    def paths(self) -> list[Path]:
        """Where its file can be."""
        return [] if self.subspool == IN_DATABASE else [self.in_quarantine, self.in_spool]

    @property
    def source(self) -> Source:
        """Where to read it from. Raises django.db.Error."""
        return trash.source_of(self)


class ItemAddress(models.Model):
    """A key to find an item by its recipients: of an address, or of the one that was written and led there."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="by_address", db_index=False)
    address = models.CharField(max_length=320)
    domain = models.CharField(max_length=255)

    class Meta:
        indexes = [
            models.Index(fields=["item"], name="itemaddress_item"),
            models.Index(fields=["address", "item"], name="itemaddress_address"),
            models.Index(fields=["domain", "item"], name="itemaddress_domain"),
        ]

    def __str__(self) -> str:
        return self.address


def root() -> Path:
    """The folder that holds the quarantine: a folder for each kind in it, and one for each day in those."""
    path: Path = django_settings.HOME.root / "quarantine"
    return path


class Pardon(models.Model):
    """An entry that was resent: the check that caught it passes it by from now on."""

    entry_id = models.BigIntegerField()
    kind = models.CharField(max_length=5, choices=ItemKind)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["entry_id", "kind"], name="pardon_entry_kind")]

    def __str__(self) -> str:
        return f"entry {self.entry_id} is not checked for {self.kind}"
