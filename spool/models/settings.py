"""How mail is handled: one row, edited in the console, in effect within a second in every process."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final

from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_ipv46_address
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import InvalidAddress, normalise_address, normalise_domain
from accounts.models.sending import SendAs
from base.languages import OFFERED, SOURCE
from base.one_row import OneRow, Section, between
from spool.models.route import TLSPolicy
from spool.models.validation import certificate_complaint, lmtp_complaint

USUAL_BLOCK_LISTS: Final = "zen.spamhaus.org\nbl.spamcop.net\nb.barracudacentral.org"
MOST_BLOCK_LISTS: Final = 20
MOST_POLICY_HOSTS: Final = 20


def parse_retry_intervals(text: str) -> tuple[timedelta, ...]:
    """The minutes between attempts, from text such as `15, 30, 60`. Raises ValidationError."""
    words = text.replace(",", " ").split()
    if not words:
        raise ValidationError(_("Give at least one interval in minutes, for example 15, 30, 60, 90."))
    intervals = []
    for word in words:
        try:
            minutes = float(word)
        except ValueError as error:
            raise ValidationError(_("%(word)s is not a number of minutes.") % {"word": f"{word!r}"}) from error
        if not 0 < minutes <= 7 * 24 * 60:
            raise ValidationError(_("%(word)s minutes is not between 0 and 10080 (a week).") % {"word": word})
        intervals.append(timedelta(minutes=minutes))
    return tuple(intervals)


def validate_retry_intervals(text: str) -> None:
    """Field validator."""
    parse_retry_intervals(text)


def parse_block_lists(text: str) -> tuple[str, ...]:
    """The zones of DNS lists, one a line. Raises ValidationError."""
    zones = []
    for line in filter(None, map(str.strip, text.splitlines())):
        try:
            zones.append(normalise_domain(line))
        except InvalidAddress as error:
            raise ValidationError(f"{line[:80]}: {error}") from error
    if len(zones) > MOST_BLOCK_LISTS:
        raise ValidationError(
            _("No more than %(most_block_lists)s lists are asked.") % {"most_block_lists": MOST_BLOCK_LISTS}
        )
    return tuple(dict.fromkeys(zones))


def validate_block_lists(text: str) -> None:
    """Field validator."""
    parse_block_lists(text)


def parse_policy_hosts(text: str) -> tuple[str, ...]:
    """The mail hosts of our own MTA-STS policy, one a line: names, or patterns as `*.example.org` (RFC 8461 3.2). Raises
    ValidationError."""
    hosts = []
    for line in filter(None, map(str.strip, text.splitlines())):
        wildcard = "*." if line.startswith("*.") else ""
        try:
            hosts.append(wildcard + normalise_domain(line.removeprefix("*.")))
        except InvalidAddress as error:
            raise ValidationError(f"{line[:80]}: {error}") from error
    hosts = list(dict.fromkeys(hosts))
    if len(hosts) > MOST_POLICY_HOSTS:
        raise ValidationError(_("No more than %(most)s hosts can be named.") % {"most": MOST_POLICY_HOSTS})
    return tuple(hosts)


def validate_policy_hosts(text: str) -> None:
    """Field validator."""
    parse_policy_hosts(text)


def parse_move_roots(text: str) -> tuple[Path, ...]:
    """The folders below which messages may be moved. Raises ValidationError."""
    roots = []
    for line in text.splitlines():
        path = Path(line.strip())
        if not line.strip():
            continue
        if not path.is_absolute() or ".." in path.parts or len(path.parts) < 2 or not line.strip().isprintable():
            raise ValidationError(
                _("%(strip)s is not the absolute path of a folder, as in /srv/mail/moved.")
                % {"strip": f"{line.strip()!r}"}
            )
        roots.append(path)
    return tuple(roots)


def validate_move_roots(text: str) -> None:
    """Field validator."""
    parse_move_roots(text)


class LocalStore(models.TextChoices):
    """Where local mail goes."""

    MAILDIR = "maildir", _lazy("Maildir folders in the home")
    LMTP = "lmtp", _lazy("LMTP (Dovecot or another mail store)")


class Settings(OneRow):
    """Every choice an administrator has about the flow of mail."""

    delivery_delay_seconds = models.PositiveIntegerField(
        _lazy("delivery delay (seconds)"),
        default=0,
        validators=between(0, 86400),
        help_text=_lazy("Time before delivery in which other programs can look at the message file."),
    )
    retry_intervals_minutes = models.CharField(
        _lazy("retry intervals (minutes)"),
        max_length=300,
        default="15, 30, 60, 90",
        validators=[validate_retry_intervals],
        help_text=_lazy("Minutes between attempts; the last one repeats until the message expires."),
    )
    expire_after_hours = models.PositiveIntegerField(
        _lazy("bounce undelivered mail after (hours)"),
        default=96,
        validators=between(1, 24 * 30),
        help_text=_lazy("RFC 5321 asks for four to five days."),
    )
    dns_failure_limit = models.PositiveIntegerField(
        _lazy("bounce after DNS failures"),
        default=0,
        validators=between(0, 1000),
        help_text=_lazy(
            "Consecutive DNS failures after which a message bounces; 0 = treat them like any other failure."
        ),
    )
    delay_notice_hours = models.PositiveIntegerField(
        _lazy("delay notice after (hours)"),
        default=4,
        validators=between(0, 24 * 30),
        help_text=_lazy("Tells the sender once that the message is delayed; 0 = never."),
    )
    schedule_days = models.PositiveIntegerField(
        _lazy("schedule mail ahead for at most (days)"),
        default=30,
        db_default=30,
        validators=between(0, 366),
        help_text=_lazy("Mail programs can hand mail in that is to leave later (FUTURERELEASE); 0 = never."),
    )
    subspool_size = models.PositiveIntegerField(
        _lazy("messages per subspool"),
        default=10_000,
        validators=between(100, 1_000_000),
        help_text=_lazy("When a subspool folder is full, the next one is used."),
    )
    trace_days = models.PositiveIntegerField(
        _lazy("keep traces (days)"),
        default=30,
        validators=between(1, 3650),
        help_text=_lazy("How long messages that have left can be found in Message trace."),
    )
    audit_days = models.PositiveIntegerField(
        _lazy("keep audit log (days)"),
        default=730,
        db_default=730,
        validators=between(30, 36_500),
        help_text=_lazy("For the Audit page and the history of accounts."),
    )
    report_days = models.PositiveIntegerField(
        _lazy("keep received reports (days)"),
        default=90,
        db_default=90,
        validators=between(7, 3650),
        help_text=_lazy("What others report about mail in the names of your domains (DMARC) and TLS with this server."),
    )
    trash_days = models.PositiveIntegerField(
        _lazy("keep deleted messages (days)"),
        default=7,
        validators=between(1, 3650),
        help_text=_lazy("How long a deletion can be undone."),
    )
    move_roots = models.TextField(
        _lazy("folders for moved messages"),
        blank=True,
        default="",
        validators=[validate_move_roots],
        help_text=_lazy(
            "Absolute paths, one per line; messages can be moved to them and their subfolders. Leave empty for moved/ in the home."
        ),
    )
    min_free_mb = models.PositiveIntegerField(
        _lazy("minimum free disk space (MB)"),
        default=100,
        validators=between(0, 10_000_000),
        help_text=_lazy("Below this, new mail is answered 452 and stays with the sender."),
    )
    max_deliveries = models.PositiveIntegerField(
        _lazy("concurrent deliveries"),
        default=200,
        validators=between(1, 10_000),
        help_text=_lazy("Messages being delivered at the same time, over all workers of one machine."),
    )
    max_local_deliveries = models.PositiveIntegerField(
        _lazy("concurrent local deliveries"),
        default=50,
        validators=between(1, 10_000),
        help_text=_lazy("Of these, to mailboxes on this server."),
    )
    max_remote_deliveries = models.PositiveIntegerField(
        _lazy("concurrent remote deliveries"),
        default=200,
        validators=between(1, 10_000),
        help_text=_lazy("Of these, to other servers."),
    )
    max_per_destination = models.PositiveIntegerField(
        _lazy("connections per destination"),
        default=20,
        validators=between(1, 1000),
        help_text=_lazy("Keeps other servers from being overloaded; routes can have their own limit."),
    )
    max_message_kb = models.PositiveIntegerField(
        _lazy("largest message (KB)"),
        default=51_200,
        validators=between(1, 2_000_000),
        help_text=_lazy("Larger messages are refused with 552; domains and users can have a lower limit."),
    )
    max_recipients = models.PositiveIntegerField(
        _lazy("recipients per message"),
        default=1000,
        validators=between(100, 100_000),
        help_text=_lazy("RFC 5321 asks for at least 100."),
    )
    max_errors = models.PositiveIntegerField(
        _lazy("errors per session"),
        default=20,
        validators=between(1, 1000),
        help_text=_lazy("The session is closed after this many refused commands."),
    )
    max_connections = models.PositiveIntegerField(
        _lazy("connections per listener"),
        default=1000,
        validators=between(1, 100_000),
        help_text=_lazy("Over all ports of a listener; further ones are answered 421."),
    )
    max_connections_per_ip = models.PositiveIntegerField(
        _lazy("connections per IP"),
        default=100,
        validators=between(1, 100_000),
        help_text=_lazy("From one address; further ones are answered 421."),
    )
    command_timeout_seconds = models.PositiveIntegerField(
        _lazy("command timeout (seconds)"),
        default=300,
        validators=between(10, 3600),
        help_text=_lazy("RFC 5321 4.5.3.2.7 asks for five minutes."),
    )
    data_timeout_seconds = models.PositiveIntegerField(
        _lazy("data timeout (seconds)"),
        default=180,
        validators=between(10, 3600),
        help_text=_lazy("Longest pause within a message; RFC 5321 4.5.3.2.5 asks for three minutes."),
    )
    send_as = models.CharField(
        _lazy("users may send as"),
        max_length=8,
        choices=SendAs,
        default=SendAs.OWN,
        db_default=SendAs.OWN,
        help_text=(
            _lazy(
                "Which sender addresses logged-in users may use, in the envelope and in the From header. "
                "Domains and users can have their own setting."
            )
        ),
    )
    max_hops = models.PositiveIntegerField(
        _lazy("maximum hops (Received headers)"),
        default=50,
        validators=between(5, 200),
        help_text=_lazy("A message that has passed this many servers is in a loop and bounces."),
    )
    source_address = models.CharField(
        _lazy("source IP address"),
        max_length=45,
        blank=True,
        default="",
        validators=[validate_ipv46_address],
        help_text=_lazy("Local address for outgoing connections. Leave empty for the system default."),
    )
    own_block_lists = models.TextField(
        _lazy("block lists for our addresses"),
        blank=True,
        default=USUAL_BLOCK_LISTS,
        db_default=USUAL_BLOCK_LISTS,
        validators=[validate_block_lists],
        help_text=_lazy(
            "DNS lists in which the addresses that mail leaves from are looked up, once a day and when a server refuses"
            " one of them; a zone a line. DNS records shows what they say. Empty: none."
        ),
    )
    smtp_out_port = models.PositiveIntegerField(
        _lazy("port of remote servers"),
        default=25,
        validators=between(1, 65535),
        help_text=_lazy("Normally 25."),
    )
    tls_policy = models.CharField(
        _lazy("TLS to remote servers"),
        max_length=13,
        default=TLSPolicy.OPPORTUNISTIC,
        choices=[
            (p.value, p.label) for p in (TLSPolicy.OPPORTUNISTIC, TLSPolicy.ENCRYPT, TLSPolicy.VERIFY, TLSPolicy.NONE)
        ],
    )
    honour_dane = models.BooleanField(
        _lazy("honour DANE (TLSA records)"),
        default=True,
        db_default=True,
        help_text=_lazy(
            "Domains can say in their signed DNS which certificates their hosts have. Mail for them then waits rather than"
            " go elsewhere or unencrypted. In effect where the resolver is on this machine and validates (DNSSEC): the host's"
            " page of DNS records tells."
        ),
    )
    honour_mta_sts = models.BooleanField(
        _lazy("honour MTA-STS policies"),
        default=True,
        help_text=_lazy(
            "Domains can publish that their hosts require TLS with valid certificates. Mail for them then waits rather"
            " than go elsewhere or unencrypted."
        ),
    )
    mta_sts_mode = models.CharField(
        _lazy("own MTA-STS policy"),
        max_length=7,
        blank=True,
        default="",
        db_default="",
        choices=[
            ("", _lazy("None")),
            ("testing", _lazy("Testing: others report what would fail")),
            ("enforce", _lazy("Enforce")),
        ],
        help_text=_lazy(
            "Served at https://mta-sts.DOMAIN/.well-known/mta-sts.txt for each domain: others then send mail for it"
            " encrypted, and only to hosts that it names. DNS records shows what it needs."
        ),
    )
    mta_sts_hosts = models.TextField(
        _lazy("hosts of our own MTA-STS policy"),
        blank=True,
        default="",
        db_default="",
        validators=[validate_policy_hosts],
        help_text=_lazy(
            "All mail hosts to which MX records of our domains lead, on other machines too; a name a line, or"
            " *.example.org. Others send mail to no host that is missing here. Empty: this host alone."
        ),
    )
    rewrite_forwarded_senders = models.BooleanField(
        _lazy("rewrite senders of forwards (SRS)"),
        default=True,
        db_default=True,
        help_text=_lazy(
            "What aliases and mailboxes send on to other servers leaves with a sender in their own domain, so that SPF"
            " passes there; bounces find their way back. Mailboxes here get the sender as it is."
        ),
    )
    dkim_host_signs = models.BooleanField(
        _lazy("sign for domains without a DKIM key"),
        default=False,
        db_default=False,
        help_text=_lazy(
            "With the key of this server's own domain. Receivers see who is responsible, but DMARC does not pass by it."
        ),
    )
    dkim_rotation_days = models.PositiveIntegerField(
        _lazy("new DKIM keys after (days)"),
        default=0,
        db_default=0,
        validators=between(0, 3650),
        help_text=_lazy(
            "A successor is made when a key has signed for so long; it takes over once its record is in the DNS."
            " 0 = only by hand."
        ),
    )
    suppress_bounce_days = models.PositiveIntegerField(
        _lazy("suppress bounced addresses for (days)"),
        default=90,
        db_default=90,
        validators=between(0, 3650),
        help_text=_lazy(
            "For how long an address is on its domain's suppression list after mail to it bounced for good. 0 = for ever."
        ),
    )
    suppress_complaint_days = models.PositiveIntegerField(
        _lazy("suppress complaining addresses for (days)"),
        default=365,
        db_default=365,
        validators=between(0, 3650),
        help_text=_lazy("The same after an abuse report (ARF). 0 = for ever."),
    )
    send_tls_reports = models.BooleanField(
        _lazy("send TLS reports"),
        default=True,
        db_default=True,
        help_text=_lazy(
            "Tell domains that ask for it (TLS-RPT), once a day, how many connections to their hosts were encrypted and what"
            " failed. In effect once a DKIM key signs for the postmaster address: receivers want these reports signed."
        ),
    )
    private_hosts = models.BooleanField(
        _lazy("send to private addresses"),
        default=False,
        db_default=False,
        help_text=_lazy(
            "Deliver to hosts whose DNS records point to a loopback, private or other special address. Anybody can"
            " publish such records for their domain. Routes are not affected."
        ),
    )
    connect_timeout_seconds = models.PositiveIntegerField(
        _lazy("connect timeout (seconds)"),
        default=30,
        validators=between(1, 300),
        help_text=_lazy("Then the next host of the domain is tried."),
    )
    reply_timeout_seconds = models.PositiveIntegerField(
        _lazy("reply timeout (seconds)"),
        default=300,
        validators=between(5, 1200),
        help_text=_lazy("RFC 5321 4.5.3.2 asks for five minutes, and ten after the message."),
    )
    dead_host_seconds = models.PositiveIntegerField(
        _lazy("back-off for unreachable hosts (seconds)"),
        default=60,
        validators=between(1, 3600),
        help_text=_lazy("How long a destination that did not answer is left alone; doubles up to an hour."),
    )
    adapt_pace = models.BooleanField(
        _lazy("slow down for destinations"),
        default=True,
        db_default=True,
        help_text=_lazy(
            "Send at the pace that other servers ask for, and pause where they refuse this server's address. When off,"
            " nothing is slowed, and what would have been is recorded. Limits set by hand always hold."
        ),
    )
    local_store = models.CharField(
        max_length=8,
        choices=LocalStore,
        default=LocalStore.MAILDIR,
        help_text=_lazy("Where mail for this server's users is stored."),
    )
    lmtp_address = models.CharField(
        _lazy("LMTP address"),
        max_length=255,
        blank=True,
        default="",
        help_text=_lazy("host:port, or the path of a unix socket."),
    )
    tls_certificate = models.CharField(
        _lazy("TLS certificate file"),
        max_length=500,
        blank=True,
        default="",
        help_text=_lazy("PEM file with the chain. Leave empty for the self-signed one in the home."),
    )
    tls_key = models.CharField(
        _lazy("TLS key file"),
        max_length=500,
        blank=True,
        default="",
        help_text=_lazy("PEM file, without a password."),
    )
    postmaster = models.CharField(
        _lazy("postmaster address"),
        max_length=254,
        blank=True,
        default="",
        help_text=_lazy("From address of bounces. Leave empty for postmaster@ this server's name."),
    )
    language = models.CharField(
        max_length=8,
        default=SOURCE,
        db_default=SOURCE,
        choices=OFFERED,
        help_text=_lazy(
            "Of mail to people, and of their pages, where neither they nor their browsers ask for another one."
        ),
    )

    sections: ClassVar[tuple[Section, ...]] = (
        Section(
            _lazy("Receiving"),
            (
                "max_message_kb",
                "max_recipients",
                "send_as",
                "schedule_days",
                "max_hops",
                "max_connections",
                "max_connections_per_ip",
                "max_errors",
                "command_timeout_seconds",
                "data_timeout_seconds",
            ),
            _lazy("Limits for clients that hand in mail."),
        ),
        Section(
            _lazy("Retries and bounces"),
            (
                "retry_intervals_minutes",
                "expire_after_hours",
                "dns_failure_limit",
                "delay_notice_hours",
                "postmaster",
            ),
            _lazy("What happens to mail that can't be delivered at once."),
        ),
        Section(
            _lazy("Delivery to other servers"),
            (
                "delivery_delay_seconds",
                "tls_policy",
                "honour_dane",
                "honour_mta_sts",
                "mta_sts_mode",
                "mta_sts_hosts",
                "send_tls_reports",
                "private_hosts",
                "rewrite_forwarded_senders",
                "source_address",
                "own_block_lists",
                "smtp_out_port",
                "connect_timeout_seconds",
                "reply_timeout_seconds",
                "dead_host_seconds",
                "adapt_pace",
            ),
            _lazy("Routes can have their own TLS, port and limits."),
        ),
        Section(_lazy("Mailboxes"), ("local_store", "lmtp_address"), _lazy("Delivery to this server's users.")),
        Section(
            _lazy("Concurrency"),
            ("max_deliveries", "max_local_deliveries", "max_remote_deliveries", "max_per_destination"),
            _lazy("How much is delivered at the same time."),
        ),
        Section(
            _lazy("Signing"),
            ("dkim_host_signs", "dkim_rotation_days"),
            _lazy("DKIM signatures. The keys are on the page DKIM keys."),
        ),
        Section(
            _lazy("Suppression"),
            ("suppress_bounce_days", "suppress_complaint_days"),
            _lazy("Addresses to which a domain's mail is not sent any more; each domain says what follows."),
        ),
        Section(_lazy("TLS certificate"), ("tls_certificate", "tls_key"), _lazy("For this server's own SMTP ports.")),
        Section(
            _lazy("Storage"),
            ("min_free_mb", "subspool_size", "move_roots"),
            _lazy("Disk space and folders of the spool."),
        ),
        Section(_lazy("Language"), ("language",), _lazy("Of mail and pages for people.")),
        Section(
            _lazy("Retention"),
            ("trace_days", "audit_days", "trash_days", "report_days"),
            _lazy("For how long records are kept."),
        ),
    )

    class Meta:
        verbose_name = verbose_name_plural = _lazy("settings")

    def __str__(self) -> str:
        return _("Settings")

    def clean(self) -> None:
        """Checks that need more than one field, or the machine. Raises ValidationError with each field's sentence."""
        wrong: dict[str, str] = {}
        if self.local_store == LocalStore.LMTP and not self.lmtp_address:
            wrong["lmtp_address"] = _("LMTP delivery needs the address of the mail store.")
        elif self.lmtp_address:
            wrong["lmtp_address"] = lmtp_complaint(self.lmtp_address)
        if bool(self.tls_certificate) != bool(self.tls_key):
            missing = "tls_key" if self.tls_certificate else "tls_certificate"
            wrong[missing] = _("A TLS certificate and its key go together: give both or neither.")
        elif self.tls_certificate:
            wrong["tls_certificate"] = str(certificate_complaint(self.tls_certificate, self.tls_key))
        if self.postmaster:
            try:
                self.postmaster = normalise_address(self.postmaster)
            except InvalidAddress as error:
                wrong["postmaster"] = str(error)
        if any(wrong.values()):
            raise ValidationError({field: sentence for field, sentence in wrong.items() if sentence})

    @property
    def postmaster_address(self) -> str:
        """From whom mail of this server itself is."""
        return self.postmaster or f"postmaster@{django_settings.MAILSPOOL_HOSTNAME}"

    @property
    def retry_intervals(self) -> tuple[timedelta, ...]:
        return parse_retry_intervals(self.retry_intervals_minutes)

    @property
    def block_lists(self) -> tuple[str, ...]:
        return parse_block_lists(self.own_block_lists)

    @property
    def policy_hosts(self) -> tuple[str, ...]:
        return parse_policy_hosts(self.mta_sts_hosts)

    @property
    def lifetime(self) -> timedelta:
        return timedelta(hours=self.expire_after_hours)

    @property
    def max_message_bytes(self) -> int:
        return self.max_message_kb * 1024


def current() -> Settings:
    """The settings, read from the database at most once a second per process. Not for editing."""
    return Settings.current()


def forget() -> None:
    """Have the next `current()` read the row."""
    Settings.forget()
