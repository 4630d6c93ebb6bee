"""Addresses that mail of a domain is not for any more: they bounced for good, or whoever reads there complained."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext_lazy as _lazy


class SuppressionReason(models.TextChoices):
    """Why."""

    BOUNCE = "bounce", _lazy("Bounced")
    COMPLAINT = "complaint", _lazy("Complained")
    MANUAL = "manual", _lazy("Added by hand")


@dataclass(frozen=True, slots=True)
class Finding:
    """What speaks against mail of `domain` to `address`; `evidence` is what a host or a report said."""

    domain: str
    address: str
    reason: SuppressionReason
    evidence: str


class Suppression(models.Model):
    """One address, for the mail of one domain of ours. `address` is its key (accounts.addresses.key_of)."""

    domain = models.CharField(max_length=255)
    address = models.CharField(max_length=320)
    reason = models.CharField(max_length=9, choices=SuppressionReason)
    evidence = models.CharField(max_length=500, blank=True, default="")
    since = models.DateTimeField()
    expires = models.DateTimeField(null=True, blank=True)

    audit_kind = "suppression"

    class Meta:
        verbose_name = _lazy("suppressed address")
        verbose_name_plural = _lazy("suppressed addresses")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["address", "domain"], name="suppressed_once")]
        indexes = [
            models.Index(fields=["domain", "address"], name="suppressed_of_domain"),
            models.Index(fields=["expires"], name="suppressed_expires"),
        ]

    def __str__(self) -> str:
        """As commands and menus name it."""
        return f"{self.domain}:{self.address}"
