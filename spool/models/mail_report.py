"""Reports that others send us about our domains: on TLS with our hosts (RFC 8460), on mail in our name (RFC 9990)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _lazy


class ReportKind(models.TextChoices):
    """What a report is about."""

    TLS = "tls", _lazy("TLS")
    DMARC = "dmarc", _lazy("DMARC")


class IncomingReport(models.Model):
    """Mail that looks like a report, until it is read. The mailbox has it as well."""

    # Of the entry: a second delivery brings nothing new.
    file_name = models.CharField(max_length=255, unique=True)
    sender = models.CharField(max_length=320, blank=True, default="")
    client_ip = models.CharField(max_length=45, blank=True, default="")
    received = models.DateTimeField()
    content = models.BinaryField()

    def __str__(self) -> str:
        return self.file_name


class MailReport(models.Model):
    """A report that was read, about one domain of ours; its numbers are sessions, or messages."""

    kind = models.CharField(max_length=5, choices=ReportKind)
    domain = models.CharField(max_length=255)
    reporter = models.CharField(max_length=200, help_text="As it calls itself.")
    report_id = models.CharField(max_length=255)
    signed_by = models.CharField(
        max_length=255, blank=True, default="", help_text="Whose DKIM or SPF proved it; empty: nobody's."
    )
    begins = models.DateTimeField()
    ends = models.DateTimeField()
    received = models.DateTimeField()
    good = models.PositiveBigIntegerField(default=0)
    bad = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["domain", "kind", "reporter", "report_id"], name="mail_report_once")
        ]
        indexes: ClassVar = [
            models.Index(fields=["domain", "kind", "ends"], name="mail_report_domain"),
            models.Index(fields=["kind", "ends"], name="mail_report_ends"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.domain} by {self.reporter}"


class ReportedTLSFailure(models.Model):
    """Sessions of one day with our hosts that failed alike, as one reporter says."""

    domain = models.CharField(max_length=255)
    day = models.DateField()
    reporter = models.CharField(max_length=200)
    policy_type = models.CharField(max_length=20)
    result = models.CharField(max_length=40)
    host = models.CharField(max_length=255, blank=True, default="", help_text="Of ours.")
    sending_ip = models.CharField(max_length=45, blank=True, default="")
    reason = models.CharField(max_length=200, blank=True, default="")
    count = models.PositiveBigIntegerField()
    is_proven = models.BooleanField(default=False, help_text="Whether the report was signed.")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["domain", "day"], name="tls_failure_domain")]

    def __str__(self) -> str:
        return f"{self.domain}: {self.result} {self.count}"


class DMARCSource(models.Model):
    """Mail of one day in a domain's name, from one address, that was judged alike; over all who report.

    Of more addresses than are kept apart the address is empty.
    """

    domain = models.CharField(max_length=255)
    day = models.DateField()
    source_ip = models.CharField(max_length=45, blank=True)
    dkim = models.BooleanField(help_text="Whether an aligned DKIM signature passed.")
    spf = models.BooleanField(help_text="Whether SPF passed, aligned.")
    disposition = models.CharField(max_length=10, help_text="What was done with it: none, quarantine or reject.")
    count = models.PositiveBigIntegerField(default=0)
    # Of the last that was read.
    header_from = models.CharField(max_length=255, blank=True, default="")
    dkim_domain = models.CharField(max_length=255, blank=True, default="")
    spf_domain = models.CharField(max_length=255, blank=True, default="")
    reporter = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["domain", "day", "source_ip", "dkim", "spf", "disposition"], name="dmarc_source_once"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["day"], name="dmarc_source_day")]

    def __str__(self) -> str:
        return f"{self.domain} from {self.source_ip}: {self.count}"
