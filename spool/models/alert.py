"""Rules that watch the counts, and what came of them."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import ClassVar, Protocol
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import InvalidAddress, normalise_address


class AlertKind(StrEnum):
    """What a rule can look at in the spool; other rooms have more (see spool.alerts.watches)."""

    SENDER = "sender"
    DEPTH = "depth"
    OLDEST = "oldest"
    UNTAKEN = "untaken"
    BOUNCES = "bounces"


class Watched(Protocol):
    """What a rule has to know of what it looks at: see spool.alerts.watches.Watch."""

    kind: str
    label: str
    most: int | None
    is_below: bool


def kinds() -> list[tuple[str, str]]:
    """All that a rule can look at, with its words."""
    return [(watched.kind, watched.label) for watched in _all_watched()]


@cache
def _all_watched() -> list[Watched]:
    return [import_string(path)() for path in settings.SPOOL_ALERT_WATCHES]


class AlertRule(models.Model):
    """One rule. An alert begins at `threshold`, and ends below `ends_below` percent of it."""

    name = models.CharField(max_length=100, unique=True)
    enabled = models.BooleanField(default=True)
    kind = models.CharField(_lazy("watches"), max_length=20, choices=kinds)
    threshold = models.PositiveIntegerField(
        validators=[MinValueValidator(1)],
        help_text=_lazy(
            "Messages for a sender and for the spool, percent for bounces, destinations and a quarantine, whose limit is 100, times for the guard; for all else minutes."
        ),
    )
    minutes = models.PositiveIntegerField(
        _lazy("within (minutes)"),
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(60)],
        help_text=_lazy(
            "For what is handed in, deferred, refused or bounced, and for the guard: how far back is counted."
        ),
    )
    at_least = models.PositiveIntegerField(
        _lazy("at least"),
        default=50,
        help_text=_lazy("For bounces, destinations and scanners: of fewer recipients or messages no rate is made."),
    )
    ends_below = models.PositiveIntegerField(
        _lazy("ends below (percent of the threshold)"),
        default=80,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_lazy("So that a number that goes to and fro around the threshold is one alert, not many."),
    )
    mail_to = models.TextField(
        _lazy("mail to"),
        blank=True,
        default="",
        help_text=_lazy("Addresses that are told, one per line; by this server itself."),
    )
    webhook_url = models.CharField(
        _lazy("webhook"),
        max_length=500,
        blank=True,
        default="",
        help_text=_lazy("https:// address that gets a signed JSON document."),
    )
    sealed_secret = models.TextField(blank=True, default="", editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def addresses(self) -> list[str]:
        return [line.strip() for line in self.mail_to.splitlines() if line.strip()]

    @property
    def ends_at(self) -> float:
        """The value below which an alert is over; above which, for one that began when the value had fallen."""
        share, watched = self.ends_below / 100, self._watched()
        return self.threshold / share if watched is not None and watched.is_below else self.threshold * share

    def clean(self) -> None:
        """Raises ValidationError with each field's sentence."""
        wrong: dict[str, str] = {}
        watched = self._watched()
        most = watched.most if watched is not None else None
        if most is not None and (self.threshold or 0) > most:
            wrong["threshold"] = _("This is at most %(most)s percent.") % {"most": most}
        for address in self.addresses:
            try:
                normalise_address(address)
            except InvalidAddress as error:
                wrong["mail_to"] = f"{error}."
        if self.webhook_url and (complaint := webhook_complaint(self.webhook_url)):
            wrong["webhook_url"] = complaint
        if wrong:
            raise ValidationError(wrong)

    def _watched(self) -> Watched | None:
        """None for a kind that the settings do not name any more."""
        return next((watched for watched in _all_watched() if watched.kind == self.kind), None)


def webhook_complaint(url: str) -> str:
    """Why `url` can't be a webhook's; "" when it can. Where it leads is looked at each time it is called."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return _("This is no address: %(error)s.") % {"error": error}
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return _("A webhook's address begins with https:// and names a host.")
    if parts.username is not None or parts.password is not None:
        return _("Leave user name and password out of the address: the receiver knows us by the signature.")
    if port == 0 or any(not letter.isprintable() or letter == " " for letter in url):
        return _("There is something in this address that no address has.")
    return ""


class AlertEvent(models.Model):
    """One alert: from when it began until its end. `key` is the sender that it is about, if it is about one."""

    rule = models.ForeignKey(AlertRule, null=True, on_delete=models.SET_NULL, related_name="events")
    rule_name = models.CharField(_lazy("rule"), max_length=100)
    kind = models.CharField(max_length=20, choices=kinds)
    key = models.CharField(_lazy("about"), max_length=320, blank=True, default="")
    threshold = models.PositiveIntegerField()
    value = models.FloatField(help_text=_lazy("When it was last looked at."))
    highest = models.FloatField()
    began = models.DateTimeField(db_index=True)
    ended = models.DateTimeField(null=True, blank=True)
    is_test = models.BooleanField(default=False)
    acknowledged = models.DateTimeField(null=True, blank=True, help_text=_lazy("When somebody took care of it."))
    acknowledged_by = models.CharField(max_length=254, blank=True, default="", db_default="")
    muted_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text=_lazy("Until then neither it nor the next of its rule and key is shown or told."),
    )

    class Meta:
        verbose_name, verbose_name_plural = _lazy("alert"), _lazy("alerts")
        ordering: ClassVar[list[str]] = ["-began", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "key"], condition=Q(ended=None, is_test=False), name="alert_event_open"
            )
        ]

    def __str__(self) -> str:
        return f"{self.rule_name} {self.key}".strip()


class AlertNotice(models.Model):
    """One thing that somebody is told: by mail, or by webhook. Tried again until it is `done`."""

    event = models.ForeignKey(AlertEvent, on_delete=models.CASCADE, related_name="notices")
    says = models.CharField(max_length=6, choices=[("began", _lazy("Began")), ("ended", _lazy("Ended"))])
    channel = models.CharField(max_length=7, choices=[("mail", _lazy("Mail")), ("webhook", _lazy("Webhook"))])
    target = models.CharField(max_length=500)
    attempts = models.PositiveIntegerField(default=0)
    due = models.DateTimeField(
        null=True, blank=True, help_text=_lazy("When it is tried; null when it is done or given up.")
    )
    done = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["due"], name="alert_notice_due", condition=Q(due__isnull=False))]

    def __str__(self) -> str:
        return _("%(channel)s to %(target)s: %(outcome)s") % {
            "channel": self.channel,
            "target": self.target,
            "outcome": self.outcome or "waits",
        }
