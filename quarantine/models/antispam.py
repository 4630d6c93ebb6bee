"""What follows from the points that the checks for spam give: one row, the page Antispam; and who is trusted."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator, URLValidator
from django.db import models

from accounts.addresses import InvalidAddress, key_of, normalise_address, normalise_domain
from accounts.models.spam import SpamAction
from base.one_row import OneRow, between

_POINTS = [MinValueValidator(0.1), MaxValueValidator(1000)]


class DigestFor(models.TextChoices):
    """Who is told once a day of what was quarantined."""

    NOBODY = "nobody", "Nobody"
    ADMINISTRATORS = "admins", "Domain administrators, with links to resend"
    USERS = "users", "Users, of their own mail"
    BOTH = "both", "Domain administrators and users"


class WhenUnansweredInbound(models.TextChoices):
    """What becomes of inbound mail while SpamAssassin or Rspamd does not answer."""

    HOLD = "hold", "Hold, then deliver marked"
    MARK = "mark", "Deliver marked"
    PASS = "pass", "Deliver unmarked"


class WhenUnansweredOutbound(models.TextChoices):
    """What becomes of outbound mail meanwhile."""

    HOLD = "hold", "Hold, then quarantine"
    HOLD_PASS = "hold_pass", "Hold, then send unchecked"
    QUARANTINE = "keep", "Quarantine"
    PASS = "pass", "Send unchecked"


class AntispamSettings(OneRow):
    """Without a check (see Check) no message is looked at, and the stage costs nothing."""

    low = models.FloatField("low from (points)", default=10, validators=_POINTS)
    low_action = models.CharField("what becomes of it", max_length=7, choices=SpamAction, default=SpamAction.HEADERS)
    medium = models.FloatField("medium from (points)", default=20, validators=_POINTS)
    medium_action = models.CharField("what becomes of it", max_length=7, choices=SpamAction, default=SpamAction.JUNK)
    high = models.FloatField("high from (points)", default=30, validators=_POINTS)
    high_action = models.CharField(
        "what becomes of it",
        max_length=7,
        choices=SpamAction,
        default=SpamAction.JUNK,
        help_text="What is deleted can be put back for the trash's days, from the Audit page.",
    )
    subject_prefix = models.CharField(
        max_length=40,
        blank=True,
        default="[Spam] ",
        validators=[RegexValidator(r"^[ -~]*$", "The prefix has printable ASCII characters only.")],
        help_text="Put before the subject of what is marked or goes to Junk. Empty for none.",
    )
    add_results = models.BooleanField(
        "add results to inbound mail",
        default=True,
        help_text="Authentication-Results (RFC 8601), X-Spam-Status and X-Spam-Score, while it is delivered.",
    )
    domains_choose = models.BooleanField(
        "domains may choose otherwise", default=True, help_text="Of the actions above, on their page."
    )
    users_choose = models.BooleanField(
        "users may choose otherwise",
        default=True,
        help_text="For their own mail, in the user site. It goes before all.",
    )
    reject = models.BooleanField(
        "refuse spam while it comes in",
        default=False,
        help_text="At the end of DATA, with 550, so that its sender knows. All checks for inbound mail run in the session.",
    )
    reject_from = models.FloatField("refuse from (points)", default=50, validators=_POINTS)
    reject_seconds = models.PositiveIntegerField(
        "look for at most (seconds)",
        default=15,
        validators=between(1, 120),
        help_text="A message about which the checks have not all answered by then is taken, and looked at later.",
    )
    greylist = models.BooleanField(
        "greylist strangers",
        default=False,
        help_text="Their first try is answered 451; what they try again after a while is let in.",
    )
    greylist_seconds = models.PositiveIntegerField(
        "they wait for (seconds)", default=300, validators=between(1, 86_400)
    )
    greylist_hours = models.PositiveIntegerField("and come back within (hours)", default=48, validators=between(1, 720))
    greylist_days = models.PositiveIntegerField(
        "forget who was not seen for (days)", default=35, validators=between(1, 400)
    )
    greylist_passes = models.PositiveIntegerField(
        "no waiting after (times)",
        default=5,
        validators=between(0, 1000),
        help_text="For a network that has come back so often, with any sender and recipient. 0 for never.",
    )
    outbound_quarantine = models.BooleanField("quarantine outbound spam", default=True)
    outbound_threshold = models.FloatField("outbound threshold (points)", default=30, validators=_POINTS)
    inbound_unanswered = models.CharField(
        "inbound mail",
        max_length=4,
        choices=WhenUnansweredInbound,
        default=WhenUnansweredInbound.MARK,
        db_default=WhenUnansweredInbound.MARK,
        help_text="Marked mail has the header field X-Spam-Unchecked. Its score decides as ever where it goes.",
    )
    inbound_hold_hours = models.PositiveIntegerField(
        "hold inbound mail for (hours)", default=4, db_default=4, validators=between(1, 96)
    )
    outbound_unanswered = models.CharField(
        "outbound mail",
        max_length=9,
        choices=WhenUnansweredOutbound,
        default=WhenUnansweredOutbound.HOLD,
        db_default=WhenUnansweredOutbound.HOLD,
    )
    outbound_hold_hours = models.PositiveIntegerField(
        "hold outbound mail for (hours)", default=24, db_default=24, validators=between(1, 96)
    )
    line_seconds = models.PositiveIntegerField(
        "wait in line for at most (seconds)",
        default=60,
        db_default=60,
        validators=between(1, 180),
        help_text="When a check has as many questions as it may have at once. Waiting in line is no failure.",
    )
    keep_days = models.PositiveIntegerField(
        "keep quarantined messages (days)",
        default=30,
        validators=between(1, 30),
        help_text="30 at most; then they are removed for good.",
    )
    warn_mb = models.PositiveIntegerField(
        "warn when they take more than (MB)", default=2_000, validators=between(1, 10_000_000)
    )
    digest = models.CharField("daily digest for", max_length=6, choices=DigestFor, default=DigestFor.NOBODY)
    digest_hour = models.PositiveSmallIntegerField(
        "digest from (hour)", default=7, validators=between(0, 23), help_text="In the server's time zone."
    )
    console_url = models.CharField(
        "address of this console",
        max_length=200,
        blank=True,
        default="",
        validators=[URLValidator(["http", "https"])],
        help_text="As browsers reach it, https://mail.example.org; for the links of the digest. Empty for no links.",
    )
    max_content_kb = models.PositiveIntegerField(
        "largest message to look into (KB)",
        default=4_096,
        validators=between(1, 100_000),
        help_text="Of larger ones only the envelope, the session and the signatures are checked.",
    )

    scan_again_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Waiting mail that was checked before then is checked again."
    )

    class Meta:
        verbose_name = verbose_name_plural = "antispam settings"

    def __str__(self) -> str:
        return "Antispam"

    def clean(self) -> None:
        """Raises ValidationError when the levels are in the wrong order."""
        if not self.low <= self.medium <= self.high:
            raise ValidationError({"medium": "Low, medium and high must follow each other in this order."})
        if self.greylist_seconds >= self.greylist_hours * 3600:
            raise ValidationError({"greylist_hours": "Nobody could come back: that is not longer than the wait."})

    @property
    def max_content_bytes(self) -> int:
        return self.max_content_kb * 1024


class DigestMark(models.Model):
    """How far the digests have come: one row."""

    day = models.DateField(null=True, blank=True)
    last_item = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"digests sent on {self.day}"


class TrustedSender(models.Model):
    """A sender whose mail is not checked for spam, if SPF, DKIM or a login proves that it is really theirs."""

    pattern = models.CharField(
        "address or domain",
        max_length=254,
        unique=True,
        help_text="ann@example.org, or example.org for all of a domain.",
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
            raise ValidationError({"pattern": f"{self.pattern!r} is neither an address nor a domain."}) from error
