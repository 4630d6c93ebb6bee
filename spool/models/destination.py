"""How much receivers take from us: what was learned from their answers, and what administrators have said."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Destination(models.Model):
    """The limits of one site (spool.delivery.remote.providers) from one source address of ours.

    A limit is in force as soon as it stands here, in every worker within a few seconds. Those of a person are caps:
    what is learned goes below them.
    """

    site = models.CharField(max_length=255, help_text="A provider, or the set of MX hosts.")
    source = models.CharField(
        max_length=45, blank=True, default="", help_text="Our address; empty for the one that the system chooses."
    )
    rate = models.FloatField(null=True, help_text="Messages a minute, over all workers; learned.")
    connections = models.PositiveIntegerField(null=True, help_text="At once, over all workers; learned.")
    suspended_until = models.DateTimeField(null=True)
    rate_by_hand = models.FloatField(null=True)
    connections_by_hand = models.PositiveIntegerField(null=True)
    reason = models.CharField(
        max_length=20, blank=True, default="", help_text="What the last refusal was about; empty when done by hand."
    )
    evidence = models.JSONField(default=list, help_text="The last refusals: at, code, text, about, domain, host.")
    memory = models.JSONField(default=dict, help_text="What the pace is steered by (spool.delivery.shaping.pace).")
    since = models.DateTimeField(help_text="When the first of the limits in force came into force.")
    changed = models.DateTimeField(help_text="When any of them was last changed.")
    by = models.CharField(
        max_length=254, blank=True, default="", help_text="Who set a limit; empty when all is learned."
    )
    note = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["site", "source"], name="destination_site")]

    def __str__(self) -> str:
        return f"{self.site} from {self.source}" if self.source else self.site


class DestinationEncryption(models.Model):
    """Of each kind of proof the newest connection to a site (spool.delivery.shaping.encryption). Written by workers."""

    site = models.CharField(max_length=255)
    source = models.CharField(max_length=45, blank=True, default="")
    proof = models.CharField(max_length=10, help_text="What proved the host (spool.message.encryption.Proof).")
    tls = models.CharField(max_length=60, blank=True, default="", help_text="As in an attempt; empty for clear text.")
    host = models.CharField(max_length=255)
    domain = models.CharField(max_length=255, help_text="Whose mail it was for.")
    at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "source", "proof"], name="destination_encryption_once")
        ]

    def __str__(self) -> str:
        return f"{self.site}: {self.tls or 'clear text'}"


class DestinationDomain(models.Model):
    """The site that the mail of a domain went to last: domains are names for sites. Written by workers, now and then."""

    domain = models.CharField(max_length=255, primary_key=True)
    site = models.CharField(max_length=255)
    source = models.CharField(max_length=45, blank=True, default="")
    seen = models.DateTimeField(db_index=True, help_text="When that was last written down.")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["site", "source", "domain"], name="destination_domain_site")]

    def __str__(self) -> str:
        return f"{self.domain}: {self.site}"
