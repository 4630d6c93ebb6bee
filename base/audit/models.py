"""The table of who did what."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from base.audit import sentences
from base.audit.results import Result

_WHOLE = Q(is_part=False)


class AuditEvent(models.Model):
    """One action of one person: on what, on how many, with what outcome. Only ever added and then completed.

    What it was done to is `kind` and `key` (a user and the address, a blacklist entry and the network), and `row_id`
    where that is a row, which keeps it when it is renamed; of many at once they are empty. A job on a million messages
    is one row. Where each of many has to know what was done to it, it has a row that `is_part` of another.
    """

    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=254)
    source = models.CharField(max_length=10, default="page", help_text="page, shell or system")
    ip = models.CharField("IP address", max_length=45, blank=True, default="", db_default="")
    via = models.CharField(
        max_length=100, blank=True, default="", db_default="", help_text="The page by its name, or the command."
    )
    action = models.CharField(max_length=30)
    kind = models.CharField(max_length=40, blank=True, default="", db_default="")
    key = models.CharField(max_length=320, blank=True, default="", db_default="")
    row_id = models.BigIntegerField(null=True, blank=True)
    on = models.TextField(blank=True, default="", help_text="The filter or the names, in words.")
    filter = models.JSONField(default=dict, blank=True)
    parameters = models.JSONField(default=dict, blank=True)
    matched = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    result = models.CharField(max_length=10, choices=Result, blank=True, default="", db_default="")
    said = models.CharField(
        max_length=500, blank=True, default="", db_column="outcome", help_text="The outcome, where no code says it."
    )
    undone = models.PositiveIntegerField(default=0, help_text="How many of them were restored since.")
    is_part = models.BooleanField(default=False, db_default=False)

    class Meta:
        # The name that it had before accounts and security wrote into it: no version has to wait for a copy.
        db_table = "spool_auditevent"
        ordering = ["-id"]
        verbose_name = "action"
        indexes = [
            models.Index(fields=["at", "id"], name="audit_at", condition=_WHOLE),
            models.Index(fields=["actor", "at", "id"], name="audit_actor", condition=_WHOLE),
            models.Index(fields=["action", "at", "id"], name="audit_action", condition=_WHOLE),
            models.Index(fields=["source", "at", "id"], name="audit_source", condition=_WHOLE),
            models.Index(fields=["kind", "at", "id"], name="audit_kind", condition=_WHOLE),
            models.Index(fields=["ip", "at", "id"], name="audit_ip", condition=_WHOLE),
            # The history of one thing, its parts in what was done to many included.
            models.Index(fields=["key", "kind", "at", "id"], name="audit_key"),
            models.Index(fields=["kind", "row_id", "at", "id"], name="audit_row", condition=Q(row_id__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor}: {self.action} {self.outcome}"

    @property
    def title(self) -> str:
        """What the action is called."""
        return sentences.title(self.action)

    @property
    def about(self) -> str:
        """What it was done to, in the language of whoever looks."""
        return sentences.on(self)

    @property
    def outcome(self) -> str:
        """What came of it, in a sentence."""
        return self.said or sentences.of(self)
