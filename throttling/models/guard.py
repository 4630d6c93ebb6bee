"""The guard against accounts that somebody else uses: what it looks for in a domain, and what it has found."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from accounts.models import Domain


class GuardAction(models.TextChoices):
    """What the guard does to a user that is far above the own past."""

    DELAY = "delay", "Delay: at most as much an hour as in the own busiest hour"
    HOLD = "hold", "Hold: the same, and what is in the spool is put on hold"
    DISABLE = "disable", "Disable the user, and put what is in the spool on hold"


class GuardPolicy(models.Model):
    """A domain that is guarded. Without a row, or switched off, nothing is looked at."""

    domain = models.OneToOneField(Domain, on_delete=models.CASCADE, related_name="guard_policy")
    enabled = models.BooleanField(default=True)
    dry_run = models.BooleanField(
        default=True, help_text="Only write down what would be done: look at it for some days before you trust it."
    )
    action = models.CharField(max_length=7, choices=GuardAction, default=GuardAction.DELAY)
    factor = models.PositiveSmallIntegerField(
        "times the usual",
        default=10,
        validators=[MinValueValidator(2), MaxValueValidator(1000)],
        help_text="So many times the user's own busiest hour of the last 30 days is too much.",
    )
    least_messages = models.PositiveIntegerField(
        "messages per hour at least",
        default=50,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text="Who sends fewer is left alone, whatever else is unusual.",
    )
    new_recipients = models.PositiveIntegerField(
        "new recipients per hour",
        default=100,
        validators=[MaxValueValidator(1_000_000)],
        help_text="Recipients that the user has not written to in 30 days; 0 not to look at them.",
    )
    bounces = models.PositiveIntegerField(
        "bounces per hour", default=20, validators=[MaxValueValidator(1_000_000)], help_text="0 not to look at them."
    )
    new_networks = models.PositiveSmallIntegerField(
        "new networks per hour",
        default=3,
        validators=[MaxValueValidator(1000)],
        help_text="Networks (IPv4 /24, IPv6 /48) that the user has neither sent nor logged in from in 30 days;"
        " 0 not to look at them.",
    )
    new_countries = models.PositiveSmallIntegerField(
        "new countries per hour",
        default=2,
        validators=[MaxValueValidator(250)],
        help_text="The same for countries, where the server has a database of them; 0 not to look at them.",
    )

    class Meta:
        verbose_name_plural = "guard policies"

    def __str__(self) -> str:
        return f"Guard of {self.domain}"


class GuardEvent(models.Model):
    """A user whom the guard has caught, with the evidence, and what is needed to take it back."""

    user = models.CharField(max_length=254)
    domain = models.CharField(max_length=255)
    at = models.DateTimeField()
    action = models.CharField(max_length=7, choices=GuardAction)
    dry_run = models.BooleanField()
    evidence = models.JSONField(help_text="Sentences.")
    before = models.JSONField(default=dict, help_text="Fields of the user as they were.")
    undone = models.DateTimeField(null=True, blank=True)
    undone_by = models.CharField(max_length=254, blank=True, default="")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["user", "at"], name="guard_event_user")]

    def __str__(self) -> str:
        return f"{self.user} {self.at:%Y-%m-%d %H:%M:%S}"
