"""How sessions with other domains' hosts were encrypted, counted for them, and the reports made of that (RFC 8460)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _lazy


class TLSSessions(models.Model):
    """How many sessions of a day (UTC) for a domain ended alike, by one policy. Written by workers, in batches.

    Of those that went well the host is empty: one row for all.
    """

    day = models.DateField()
    domain = models.CharField(max_length=255)
    policy_type = models.CharField(max_length=20, help_text="tlsa, sts or no-policy-found.")
    policy_key = models.CharField(max_length=16, help_text="A digest: a domain may change its policy within a day.")
    policy_strings = models.JSONField(default=list)
    policy_mx = models.JSONField(default=list)
    result = models.CharField(max_length=30, blank=True, help_text="RFC 8460 4.3; empty: it went well.")
    host = models.CharField(max_length=255, blank=True)
    ip = models.CharField(max_length=45, blank=True, default="", help_text="Of the last of them.")
    source = models.CharField(max_length=45, blank=True, default="", help_text="Our address, of the last of them.")
    reason = models.CharField(max_length=200, blank=True, default="", help_text="What was said of the last of them.")
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["day", "domain", "policy_type", "policy_key", "result", "host"], name="tls_sessions_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.domain} on {self.day}: {self.count} {self.result or 'good'}"


class ReportState(models.TextChoices):
    """What became of a report of ours."""

    WAITING = "waiting", _lazy("Waiting")
    SENT = "sent", _lazy("Sent")
    NOT_WANTED = "unwanted", _lazy("Not asked for")
    FAILED = "failed", _lazy("Not delivered")


class TLSReport(models.Model):
    """The report about one day that a domain may have asked for."""

    day = models.DateField()
    domain = models.CharField(max_length=255)
    state = models.CharField(max_length=8, choices=ReportState, default=ReportState.WAITING)
    due = models.DateTimeField(null=True, help_text="When it is made, or tried again.")
    attempts = models.PositiveSmallIntegerField(default=0)
    done = models.JSONField(default=list, help_text="The addresses that have it already.")
    outcome = models.CharField(max_length=300, blank=True, default="")
    at = models.DateTimeField(null=True, help_text="When it was sent, or given up.")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["day", "domain"], name="tls_report_once")]
        indexes: ClassVar = [models.Index(fields=["due"], name="tls_report_due", condition=models.Q(due__isnull=False))]

    def __str__(self) -> str:
        return f"{self.domain} on {self.day}"
