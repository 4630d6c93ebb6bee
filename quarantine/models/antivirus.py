"""How mail is looked through for viruses: one row, the page Antivirus."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.one_row import OneRow, Section, between
from quarantine.models.addresses import ServerAddress, parse_command, parse_servers, validate_command, validate_servers


class WhenUnanswered(models.TextChoices):
    """What becomes of mail while no scanner answers."""

    HOLD = "hold", _lazy("Hold until one is available")
    PASS = "pass", _lazy("Deliver unscanned")


class WhenOversize(models.TextChoices):
    """What becomes of messages that are too large to be scanned."""

    PASS = "pass", _lazy("Deliver unscanned")
    QUARANTINE = "quarantine", _lazy("Move to the Virus Quarantine")


class AntivirusSettings(OneRow):
    """Without a scanner nothing is scanned, and the stage costs nothing."""

    clamd_servers = models.TextField(
        _lazy("ClamAV servers"),
        blank=True,
        default="",
        validators=[validate_servers],
        help_text=_lazy(
            "Sockets or host:port of clamd, one per line, as /run/clamav/clamd.ctl or 127.0.0.1:3310. They share the work; one that does not answer is skipped for a while."
        ),
    )
    clamd_timeout_seconds = models.PositiveIntegerField(
        _lazy("ClamAV timeout (seconds)"),
        default=60,
        validators=between(1, 200),
        help_text=_lazy("A server that takes longer counts as unavailable."),
    )
    clamd_connections = models.PositiveIntegerField(
        _lazy("parallel scans"),
        default=10,
        validators=between(1, 200),
        help_text=_lazy("Per worker; clamd's MaxThreads is 10."),
    )
    command = models.CharField(
        _lazy("second scanner"),
        max_length=500,
        blank=True,
        default="",
        validators=[validate_command],
        help_text=_lazy(
            "A command line, as /opt/scanner/bin/scan --quiet {file}. Run without a shell; it sees only the message file, read-only."
        ),
    )
    command_infected_status = models.PositiveIntegerField(
        _lazy("exit code when infected"),
        default=1,
        validators=between(1, 255),
        help_text=_lazy("0 means clean; anything else is a failure."),
    )
    command_timeout_seconds = models.PositiveIntegerField(
        _lazy("timeout (seconds)"), default=60, validators=between(1, 200)
    )
    command_parallel = models.PositiveIntegerField(_lazy("parallel runs"), default=2, validators=between(1, 64))
    scan_inbound = models.BooleanField(_lazy("scan inbound mail"), default=True)
    scan_outbound = models.BooleanField(_lazy("scan outbound mail"), default=True)
    max_scan_kb = models.PositiveIntegerField(
        _lazy("largest message to scan (KB)"),
        default=25_600,
        validators=between(1, 2_000_000),
        help_text=_lazy("No more than clamd's StreamMaxLength; clamd rejects larger ones."),
    )
    oversize = models.CharField(
        _lazy("larger messages"), max_length=10, choices=WhenOversize, default=WhenOversize.PASS
    )
    unanswered = models.CharField(
        _lazy("if no scanner is available"),
        max_length=4,
        choices=WhenUnanswered,
        default=WhenUnanswered.HOLD,
        help_text=_lazy("Held messages are retried every few minutes and say why they wait."),
    )
    keep_days = models.PositiveIntegerField(
        _lazy("keep quarantined messages (days)"),
        default=30,
        validators=between(1, 3650),
        help_text=_lazy("Then they are removed permanently."),
    )
    warn_mb = models.PositiveIntegerField(_lazy("warn above (MB)"), default=2_000, validators=between(1, 10_000_000))

    scan_again_since = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text=_lazy("Waiting mail that was scanned before then is scanned again."),
    )

    sections: ClassVar[tuple[Section, ...]] = (
        Section(
            _lazy("Scanning"),
            ("scan_inbound", "scan_outbound", "max_scan_kb", "oversize", "unanswered"),
            _lazy("Each message is scanned once before delivery, if a scanner is configured."),
        ),
        Section(
            "ClamAV",
            ("clamd_servers", "clamd_timeout_seconds", "clamd_connections"),
            _lazy("Messages are sent to clamd over its socket; it needs no access to files."),
        ),
        Section(
            _lazy("Second scanner"),
            ("command", "command_infected_status", "command_timeout_seconds", "command_parallel"),
            _lazy("A program run for each message in which ClamAV found nothing."),
        ),
        Section(
            _lazy("Virus Quarantine"),
            ("keep_days", "warn_mb"),
            _lazy("Infected messages are kept there for a limited time."),
        ),
    )

    class Meta:
        verbose_name = verbose_name_plural = _lazy("antivirus settings")

    def __str__(self) -> str:
        return _("Antivirus")

    @property
    def servers(self) -> tuple[ServerAddress, ...]:
        return parse_servers(self.clamd_servers)

    @property
    def command_words(self) -> list[str]:
        return parse_command(self.command)

    @property
    def max_scan_bytes(self) -> int:
        return self.max_scan_kb * 1024
