"""An account that was shut because it seems to be in wrong hands, until somebody has looked at it."""

from __future__ import annotations

from typing import ClassVar, Self

from django.db import models

from accounts.models.status import Status
from accounts.models.users import User
from base import facts


class ContainmentQuerySet(models.QuerySet["Containment"]):
    def open(self) -> Self:
        return self.filter(closed__isnull=True)


class Containment(models.Model):
    """What was done, and what was there before, so that it can be undone.

    The hashes of passwords are kept while it is open: the old one to give it back after a false alarm, the new one to
    notice that somebody has set another meanwhile.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="containments")
    at = models.DateTimeField()
    actor = models.CharField(max_length=254)
    status_before = models.CharField(max_length=10, choices=Status)
    password_before = models.CharField(max_length=128, blank=True, default="")
    password_after = models.CharField(max_length=128, blank=True, default="")
    done = models.JSONField(default=list, help_text="What was done, a sentence each.")
    closed = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=254, blank=True, default="")

    objects: ClassVar[models.Manager[Containment]] = ContainmentQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=models.Q(closed__isnull=True), name="one_open_containment"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user_id} contained {self.at:%Y-%m-%d %H:%M}"

    @property
    def said(self) -> list[str]:
        """What was done, in sentences."""
        return facts.shown(self.done)
