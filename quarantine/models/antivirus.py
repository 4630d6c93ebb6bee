"""How mail is looked through for viruses: one row, the page Antivirus."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from base.one_row import OneRow, Section, between
from quarantine.models.addresses import ServerAddress, parse_command, parse_servers, validate_command, validate_servers


class WhenUnanswered(models.TextChoices):
    """What becomes of mail while no scanner answers."""

    HOLD = "hold", "Hold until one is available"
    PASS = "pass", "Deliver unscanned"


class WhenOversize(models.TextChoices):
    """What becomes of messages that are too large to be scanned."""

    PASS = "pass", "Deliver unscanned"
    QUARANTINE = "quarantine", "Move to the Virus Quarantine"


class AntivirusSettings(OneRow):
    """Without a scanner nothing is scanned, and the stage costs nothing."""

    clamd_servers = models.TextField(
        "ClamAV servers",
        blank=True,
        default="",
        validators=[validate_servers],
        help_text="Sockets or host:port of clamd, one per line, as /run/clamav/clamd.ctl or 127.0.0.1:3310. They share the work; one that does not answer is skipped for a while.",
    )
    clamd_timeout_seconds = models.PositiveIntegerField(
        "ClamAV timeout (seconds)",
        default=60,
        validators=between(1, 200),
        help_text="A server that takes longer counts as unavailable.",
    )
    clamd_connections = models.PositiveIntegerField(
        "parallel scans", default=10, validators=between(1, 200), help_text="Per worker; clamd's MaxThreads is 10."
    )
    command = models.CharField(
        "second scanner",
        max_length=500,
        blank=True,
        default="",
        validators=[validate_command],
        help_text="A command line, as /opt/scanner/bin/scan --quiet {file}. Run without a shell; it sees only the message file, read-only.",
    )
    command_infected_status = models.PositiveIntegerField(
        "exit code when infected",
        default=1,
        validators=between(1, 255),
        help_text="0 means clean; anything else is a failure.",
    )
    command_timeout_seconds = models.PositiveIntegerField("timeout (seconds)", default=60, validators=between(1, 200))
    command_parallel = models.PositiveIntegerField("parallel runs", default=2, validators=between(1, 64))
    scan_inbound = models.BooleanField("scan inbound mail", default=True)
    scan_outbound = models.BooleanField("scan outbound mail", default=True)
    max_scan_kb = models.PositiveIntegerField(
        "largest message to scan (KB)",
        default=25_600,
        validators=between(1, 2_000_000),
        help_text="No more than clamd's StreamMaxLength; clamd rejects larger ones.",
    )
    oversize = models.CharField("larger messages", max_length=10, choices=WhenOversize, default=WhenOversize.PASS)
    unanswered = models.CharField(
        "if no scanner is available",
        max_length=4,
        choices=WhenUnanswered,
        default=WhenUnanswered.HOLD,
        help_text="Held messages are retried every few minutes and say why they wait.",
    )
    keep_days = models.PositiveIntegerField(
        "keep quarantined messages (days)",
        default=30,
        validators=between(1, 3650),
        help_text="Then they are removed permanently.",
    )
    warn_mb = models.PositiveIntegerField("warn above (MB)", default=2_000, validators=between(1, 10_000_000))

    scan_again_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Waiting mail that was scanned before then is scanned again."
    )

    sections: ClassVar[tuple[Section, ...]] = (
        Section(
            "Scanning",
            ("scan_inbound", "scan_outbound", "max_scan_kb", "oversize", "unanswered"),
            "Each message is scanned once before delivery, if a scanner is configured.",
        ),
        Section(
            "ClamAV",
            ("clamd_servers", "clamd_timeout_seconds", "clamd_connections"),
            "Messages are sent to clamd over its socket; it needs no access to files.",
        ),
        Section(
            "Second scanner",
            ("command", "command_infected_status", "command_timeout_seconds", "command_parallel"),
            "A program run for each message in which ClamAV found nothing.",
        ),
        Section("Virus Quarantine", ("keep_days", "warn_mb"), "Infected messages are kept there for a limited time."),
    )

    class Meta:
        verbose_name = verbose_name_plural = "antivirus settings"

    def __str__(self) -> str:
        return "Antivirus"

    @property
    def servers(self) -> tuple[ServerAddress, ...]:
        return parse_servers(self.clamd_servers)

    @property
    def command_words(self) -> list[str]:
        return parse_command(self.command)

    @property
    def max_scan_bytes(self) -> int:
        return self.max_scan_kb * 1024
