"""What follows from the points that the checks for spam give: one row, the page Antispam; and who is trusted."""

from __future__ import annotations

import ipaddress
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator, URLValidator
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import InvalidAddress, key_of, normalise_address, normalise_domain
from accounts.models.spam import SpamAction, UsersRelease
from base.one_row import OneRow, Section, between
from quarantine.models.check import Check, CheckKind

_POINTS = [MinValueValidator(0.1), MaxValueValidator(1000)]


class DigestFor(models.TextChoices):
    """Who is told once a day of what was quarantined."""

    NOBODY = "nobody", _lazy("Nobody")
    ADMINISTRATORS = "admins", _lazy("Domain administrators, with links to resend")
    USERS = "users", _lazy("Users, of their own mail")
    BOTH = "both", _lazy("Domain administrators and users")


class WhenUnansweredInbound(models.TextChoices):
    """What becomes of inbound mail while SpamAssassin or Rspamd does not answer."""

    HOLD = "hold", _lazy("Hold, then deliver marked")
    MARK = "mark", _lazy("Deliver marked")
    PASS = "pass", _lazy("Deliver unmarked")


class WhenUnansweredOutbound(models.TextChoices):
    """What becomes of outbound mail meanwhile."""

    HOLD = "hold", _lazy("Hold, then quarantine")
    HOLD_PASS = "hold_pass", _lazy("Hold, then send unchecked")
    QUARANTINE = "keep", _lazy("Quarantine")
    PASS = "pass", _lazy("Send unchecked")


class FollowDMARC(models.TextChoices):
    """Whether mail that fails DMARC is treated as the owner of its domain asks."""

    NO = "no", _lazy("No, it counts points only")
    QUARANTINE = "keep", _lazy("Quarantine it")
    FULLY = "full", _lazy("Quarantine it, or reject it during SMTP where that is asked for")


def clean_dmarc_exceptions(text: str) -> str:
    """One on a line, in their one spelling. Raises ValidationError for what is neither a domain nor a network."""
    found: dict[str, None] = {}
    for line in text.split():
        try:
            found[str(ipaddress.ip_network(line, strict=False))] = None
        except ValueError:
            try:
                found[normalise_domain(line)] = None
            except InvalidAddress as error:
                raise ValidationError(
                    _("%(line)s is neither a domain nor an IP address or network.") % {"line": line[:80]}
                ) from error
    return "\n".join(found)


class AntispamSettings(OneRow):
    """Without a check (see Check) no message is looked at, and the stage costs nothing."""

    low = models.FloatField(_lazy("low threshold (points)"), default=10, validators=_POINTS)
    low_action = models.CharField(_lazy("action"), max_length=7, choices=SpamAction, default=SpamAction.HEADERS)
    medium = models.FloatField(_lazy("medium threshold (points)"), default=20, validators=_POINTS)
    medium_action = models.CharField(_lazy("action"), max_length=7, choices=SpamAction, default=SpamAction.JUNK)
    high = models.FloatField(_lazy("high threshold (points)"), default=30, validators=_POINTS)
    high_action = models.CharField(
        _lazy("action"),
        max_length=7,
        choices=SpamAction,
        default=SpamAction.JUNK,
        help_text=_lazy("Deleted messages stay in the trash for a while and can be restored from the Audit page."),
    )
    subject_prefix = models.CharField(
        max_length=40,
        blank=True,
        default="[Spam] ",
        validators=[RegexValidator(r"^[ -~]*$", _lazy("The prefix has printable ASCII characters only."))],
        help_text=_lazy("Added to the subject of messages that are marked or go to Junk. Leave empty for none."),
    )
    add_results = models.BooleanField(
        _lazy("add results to inbound mail"),
        default=True,
        help_text=_lazy("Adds Authentication-Results (RFC 8601), X-Spam-Status and X-Spam-Score on delivery."),
    )
    domains_choose = models.BooleanField(
        _lazy("domains may choose their own actions"), default=True, help_text=_lazy("On the domain's page.")
    )
    users_choose = models.BooleanField(
        _lazy("users may choose their own actions"),
        default=True,
        help_text=_lazy("For their own mail, on the user site. Overrides the domain and these settings."),
    )
    reject = models.BooleanField(
        _lazy("reject spam during SMTP"),
        default=False,
        help_text=_lazy("Answers 550 after DATA, so the sender knows. All inbound checks run during the session."),
    )
    reject_from = models.FloatField(_lazy("reject threshold (points)"), default=50, validators=_POINTS)
    reject_seconds = models.PositiveIntegerField(
        _lazy("time limit (seconds)"),
        default=15,
        validators=between(1, 120),
        help_text=_lazy("If some checks have not answered by then, the message is accepted and checked later."),
    )
    follow_dmarc = models.CharField(
        _lazy("mail that fails the DMARC policy of its domain"),
        max_length=4,
        choices=FollowDMARC,
        default=FollowDMARC.NO,
        db_default=FollowDMARC.NO,
        help_text=_lazy("Where its owner asks for quarantine or reject. Needs a DMARC check for inbound mail."),
    )
    dmarc_exceptions = models.TextField(
        _lazy("DMARC exceptions"),
        blank=True,
        default="",
        db_default="",
        help_text=_lazy(
            "Domains, with their subdomains, whose policy is not followed, and IP addresses or networks that forward mail"
            " or send for lists. One per line. Points still count."
        ),
    )
    greylist = models.BooleanField(
        _lazy("greylist unknown senders"),
        default=False,
        help_text=_lazy("The first attempt is answered 451; a later retry is accepted."),
    )
    greylist_seconds = models.PositiveIntegerField(
        _lazy("retry delay (seconds)"), default=300, validators=between(1, 86_400)
    )
    greylist_hours = models.PositiveIntegerField(_lazy("retry window (hours)"), default=48, validators=between(1, 720))
    greylist_days = models.PositiveIntegerField(_lazy("forget after (days)"), default=35, validators=between(1, 400))
    greylist_passes = models.PositiveIntegerField(
        _lazy("auto-allow after (passes)"),
        default=5,
        validators=between(0, 1000),
        help_text=_lazy("Passed retries after which a network is no longer greylisted. 0 = never."),
    )
    outbound_quarantine = models.BooleanField(_lazy("quarantine outbound spam"), default=True)
    outbound_threshold = models.FloatField(_lazy("outbound threshold (points)"), default=30, validators=_POINTS)
    inbound_unanswered = models.CharField(
        _lazy("inbound mail"),
        max_length=4,
        choices=WhenUnansweredInbound,
        default=WhenUnansweredInbound.MARK,
        db_default=WhenUnansweredInbound.MARK,
        help_text=_lazy(
            "Marked messages get an X-Spam-Unchecked header. The score from the other checks still applies."
        ),
    )
    inbound_hold_hours = models.PositiveIntegerField(
        _lazy("hold inbound mail up to (hours)"), default=4, db_default=4, validators=between(1, 96)
    )
    outbound_unanswered = models.CharField(
        _lazy("outbound mail"),
        max_length=9,
        choices=WhenUnansweredOutbound,
        default=WhenUnansweredOutbound.HOLD,
        db_default=WhenUnansweredOutbound.HOLD,
    )
    outbound_hold_hours = models.PositiveIntegerField(
        _lazy("hold outbound mail up to (hours)"), default=24, db_default=24, validators=between(1, 96)
    )
    line_seconds = models.PositiveIntegerField(
        _lazy("queue time limit (seconds)"),
        default=60,
        db_default=60,
        validators=between(1, 180),
        help_text=_lazy(
            "How long a message waits for a check that is at its concurrency limit. Not counted as a failure."
        ),
    )
    keep_days = models.PositiveIntegerField(
        _lazy("keep quarantined messages (days)"),
        default=30,
        validators=between(1, 30),
        help_text=_lazy("At most 30; then they are removed permanently."),
    )
    users_release = models.CharField(
        _lazy("users can"),
        max_length=7,
        choices=UsersRelease,
        default=UsersRelease.ASK,
        db_default=UsersRelease.ASK,
        help_text=_lazy(
            "For their own mail, on the user site. Whoever has a user's password could release spam that they sent."
        ),
    )
    warn_mb = models.PositiveIntegerField(_lazy("warn above (MB)"), default=2_000, validators=between(1, 10_000_000))
    digest = models.CharField(_lazy("daily digest for"), max_length=6, choices=DigestFor, default=DigestFor.NOBODY)
    digest_hour = models.PositiveSmallIntegerField(
        _lazy("send digest at (hour)"),
        default=7,
        validators=between(0, 23),
        help_text=_lazy("In the server's time zone."),
    )
    console_url = models.CharField(
        _lazy("console URL"),
        max_length=200,
        blank=True,
        default="",
        validators=[URLValidator(["http", "https"])],
        help_text=_lazy(
            "Such as https://mail.example.org, for links in the digest and in mail of lists. Leave empty for no links."
        ),
    )
    max_content_kb = models.PositiveIntegerField(
        _lazy("largest message to check (KB)"),
        default=4_096,
        validators=between(1, 100_000),
        help_text=_lazy("For larger messages only envelope, session and signatures are checked."),
    )

    scan_again_since = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text=_lazy("Waiting mail that was checked before then is checked again."),
    )

    sections: ClassVar[tuple[Section, ...]] = (
        Section(
            _lazy("Inbound mail"),
            (
                ("low", "low_action"),
                ("medium", "medium_action"),
                ("high", "high_action"),
                "subject_prefix",
                "add_results",
                ("domains_choose", "users_choose"),
            ),
            _lazy(
                "The points of all checks are added up. With the default weights, 10 points is where SpamAssassin (5) and Rspamd (6) start to call a message spam; at 30 they are hardly ever wrong."
            ),
        ),
        Section(
            _lazy("Reject during SMTP"),
            ("reject", ("reject_from", "reject_seconds")),
            _lazy(
                "Logged-in and whitelisted clients are exempt (internal networks only with the spam bypass), and so is mail to recipients whose spam filter is off."
            ),
        ),
        Section(
            _lazy("DMARC policies"),
            ("follow_dmarc", "dmarc_exceptions"),
            _lazy(
                "Mail that was forwarded, or went through a list, fails DMARC without being forged: look at the Spam Quarantine for a while before rejecting. Same exemptions as above."
            ),
        ),
        Section(
            _lazy("Greylisting"),
            ("greylist", ("greylist_seconds", "greylist_hours"), ("greylist_days", "greylist_passes")),
            _lazy("Keyed by client network (/24, /64), sender and recipient. Same exemptions as above."),
        ),
        Section(
            _lazy("Outbound mail"),
            ("outbound_quarantine", "outbound_threshold"),
            _lazy("Messages over the threshold go to the Spam Quarantine instead of being sent."),
        ),
        Section(
            _lazy("If SpamAssassin or Rspamd is unavailable"),
            (
                ("inbound_unanswered", "inbound_hold_hours"),
                ("outbound_unanswered", "outbound_hold_hours"),
                "line_seconds",
            ),
            _lazy(
                "Held messages say why, are checked again every few minutes, and use up no delivery attempt. The other checks can still catch them."
            ),
        ),
        Section(_lazy("Spam Quarantine"), ("keep_days", "warn_mb", "users_release")),
        Section(
            _lazy("Digest"),
            ("digest", "digest_hour", "console_url"),
            _lazy("A daily e-mail listing what was quarantined since the last one."),
        ),
        Section(_lazy("Limits"), ("max_content_kb",)),
    )

    class Meta:
        verbose_name = verbose_name_plural = _lazy("antispam settings")

    def __str__(self) -> str:
        return _("Antispam")

    def clean(self) -> None:
        """Raises ValidationError when the levels are in the wrong order."""
        try:
            self.dmarc_exceptions = clean_dmarc_exceptions(self.dmarc_exceptions)
        except ValidationError as error:
            raise ValidationError({"dmarc_exceptions": error.messages}) from error
        if self.follow_dmarc != FollowDMARC.NO and not _judges_dmarc():
            raise ValidationError({"follow_dmarc": _("Add a DMARC check for inbound mail first.")})
        if not self.low <= self.medium <= self.high:
            raise ValidationError({"medium": _("The thresholds must rise from low to medium to high.")})
        if self.greylist_seconds >= self.greylist_hours * 3600:
            raise ValidationError({"greylist_hours": _("The retry window must be longer than the retry delay.")})

    @property
    def max_content_bytes(self) -> int:
        return self.max_content_kb * 1024


def _judges_dmarc() -> bool:
    """Whether some check looks at it."""
    return Check.objects.filter(kind=CheckKind.DMARC, inbound=True).exists()


def console_url() -> str:
    """SPOOL_CONSOLE_URL: what links in mail begin with; empty for no links."""
    return AntispamSettings.current().console_url


class DigestMark(models.Model):
    """How far the digests have come: one row."""

    day = models.DateField(null=True, blank=True)
    last_item = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return _("digests sent on %(day)s") % {"day": self.day}


class TrustedSender(models.Model):
    """A sender whose mail is not checked for spam, if SPF, DKIM or a login proves that it is really theirs."""

    pattern = models.CharField(
        _lazy("address or domain"),
        max_length=254,
        unique=True,
        help_text=_lazy("ann@example.org, or example.org for all of a domain."),
    )
    description = models.CharField(max_length=255, blank=True, default="")

    class Meta:
        ordering = ["pattern"]

    def __str__(self) -> str:
        return self.pattern

    def clean(self) -> None:
        """Raises ValidationError for what is neither."""
        text = self.pattern.strip().lower().removeprefix("@")
        try:
            self.pattern = key_of(normalise_address(text)) if "@" in text else normalise_domain(text)
        except InvalidAddress as error:
            raise ValidationError(
                {"pattern": (_("%(pattern)s is neither an address nor a domain.") % {"pattern": f"{self.pattern!r}"})}
            ) from error
