"""The guard against accounts that somebody else uses: what it looks for in a domain, and what it has found."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.models import Domain, User
from base import facts


class GuardAction(models.TextChoices):
    """What the guard does to a user that is far above the own past."""

    DELAY = "delay", _lazy("Delay: at most as much an hour as in the own busiest hour")
    HOLD = "hold", _lazy("Hold: the same, and what is in the spool is put on hold")
    DISABLE = "disable", _lazy("Disable the user, and put what is in the spool on hold")


class GuardPolicy(models.Model):
    """A domain that is guarded, or, without one, all that have no policy of their own.

    A policy that is switched off keeps its domain out of that for all.
    """

    domain = models.OneToOneField(
        Domain,
        on_delete=models.CASCADE,
        related_name="guard_policy",
        null=True,
        blank=True,
        help_text=_lazy("Leave empty for all domains that have no policy of their own."),
    )
    enabled = models.BooleanField(default=True)
    dry_run = models.BooleanField(
        default=True,
        help_text=_lazy(
            "Log only: show what would be done and do nothing. Watch it for some days before you trust it."
        ),
    )
    action = models.CharField(max_length=7, choices=GuardAction, default=GuardAction.DELAY)
    factor = models.PositiveSmallIntegerField(
        _lazy("multiplier"),
        default=10,
        validators=[MinValueValidator(2), MaxValueValidator(1000)],
        help_text=_lazy("How many times the user's own busiest hour of the last 30 days is too much."),
    )
    least_messages = models.PositiveIntegerField(
        _lazy("minimum messages per hour"),
        default=50,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text=_lazy("Users who send fewer are not checked, whatever else is unusual."),
    )
    new_user_messages = models.PositiveIntegerField(
        _lazy("messages per hour of new users"),
        default=150,
        db_default=150,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text=_lazy(
            "Applies to users whose first message is less than a day old: there is no history to compare with."
        ),
    )
    new_recipients = models.PositiveIntegerField(
        _lazy("new recipients per hour"),
        default=100,
        validators=[MaxValueValidator(1_000_000)],
        help_text=_lazy("Recipients that the user has not written to in 30 days; 0 = off."),
    )
    bounces = models.PositiveIntegerField(
        _lazy("bounces per hour"), default=20, validators=[MaxValueValidator(1_000_000)], help_text=_lazy("0 = off.")
    )
    new_networks = models.PositiveSmallIntegerField(
        _lazy("new networks per hour"),
        default=3,
        validators=[MaxValueValidator(1000)],
        help_text=_lazy(
            "Networks (IPv4 /24, IPv6 /48) that the user has neither sent nor logged in from in 30 days; 0 = off."
        ),
    )
    new_countries = models.PositiveSmallIntegerField(
        _lazy("new countries per hour"),
        default=2,
        validators=[MaxValueValidator(250)],
        help_text=_lazy(
            "The same for countries, where the server has a database of them; 0 = off. One new"
            " country from a new network is always named where both are checked."
        ),
    )
    exempt = models.ManyToManyField(
        User,
        blank=True,
        related_name="+",
        verbose_name=_lazy("exempt users"),
        help_text=_lazy("Users whom the guard never checks, such as the sender of a newsletter."),
    )

    class Meta:
        verbose_name_plural = _lazy("guard policies")
        constraints = [
            models.UniqueConstraint(
                Coalesce("domain", 0),
                name="guard_policy_once",
                violation_error_message="There already is a policy for all domains.",
            )
        ]

    def __str__(self) -> str:
        return _("Guard of %(domain)s") % {"domain": self.domain or "all domains"}


class GuardEvent(models.Model):
    """A user whom the guard has caught, with the evidence, and what is needed to take it back."""

    user = models.CharField(max_length=254)
    domain = models.CharField(max_length=255)
    at = models.DateTimeField()
    action = models.CharField(max_length=7, choices=GuardAction)
    dry_run = models.BooleanField()
    evidence = models.JSONField(help_text=_lazy("Sentences."))
    messages = models.PositiveIntegerField(default=0, db_default=0, help_text=_lazy("Sent in that hour."))
    new_recipients = models.PositiveIntegerField(default=0, db_default=0)
    before = models.JSONField(default=dict, help_text=_lazy("Fields of the user as they were."))
    undone = models.DateTimeField(null=True, blank=True)
    undone_by = models.CharField(max_length=254, blank=True, default="")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["user", "at"], name="guard_event_user")]

    def __str__(self) -> str:
        return f"{self.user} {self.at:%Y-%m-%d %H:%M:%S}"

    @property
    def said(self) -> list[str]:
        """What spoke against the user, in sentences."""
        return facts.shown(self.evidence)


class GuardPeak(models.Model):
    """The busiest hour of a user on a day on which much was sent and nothing spoke against it; kept for a year.

    The trace is forgotten sooner: without this a monthly newsletter would be a surprise each time.
    """

    user = models.CharField(max_length=254)
    day = models.DateField()
    messages = models.PositiveIntegerField()
    new_recipients = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "day"], name="guard_peak_once_a_day")]
        indexes = [models.Index(fields=["day"], name="guard_peak_day")]

    def __str__(self) -> str:
        return f"{self.user} {self.day:%Y-%m-%d}: {self.messages}"
