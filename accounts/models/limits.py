"""The limits that domains and users share with their templates, and those by the hour that lists have too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from base.texts import Text

MB = 1024 * 1024


class ThrottleAction(models.TextChoices):
    """What happens to mail beyond a limit by the hour."""

    NONE = "none", _("None: only record it")
    DELAY = "delay", _("Delay: send it as the limit allows")
    REJECT = "reject", _("Reject it")


class Metric(models.TextChoices):
    """What a limit by the hour counts."""

    MESSAGES = "messages", _("Messages Out")
    BANDWIDTH = "bandwidth", _("Bandwidth Out")
    RECIPIENTS = "recipients", _("Recipients Out")
    BOUNCES = "bounces", _("Bounces Received")


@dataclass(frozen=True, slots=True)
class HourlyLimit:
    """At most `amount` in any hour: messages, bytes, recipients or bounces."""

    metric: Metric
    amount: int
    action: ThrottleAction


def _most(name: Text, highest: int, help_text: Text) -> models.PositiveIntegerField[int, int]:
    return models.PositiveIntegerField(name, default=0, validators=[MaxValueValidator(highest)], help_text=help_text)


def _beyond(name: Text) -> models.CharField[str, str]:
    return models.CharField(name, max_length=6, choices=ThrottleAction, default=ThrottleAction.DELAY)


class SendingLimits(models.Model):
    """How much may be sent in an hour, and what happens to the rest."""

    messages_per_hour = _most(_("messages per hour"), 10_000_000, _("Messages sent; 0 for no limit."))
    messages_action = _beyond(_("beyond that, messages"))
    bandwidth_mb_per_hour = _most(
        _("bandwidth per hour (MB)"), 10_000_000, _("Size times recipients of what is sent; 0 for no limit.")
    )
    bandwidth_action = _beyond(_("beyond that bandwidth"))
    recipients_per_hour = _most(_("recipients per hour"), 100_000_000, _("Recipients of what is sent; 0 for no limit."))
    recipients_action = _beyond(_("beyond those recipients"))

    class Meta:
        abstract = True


def hourly_limits(row: SendingLimits) -> tuple[HourlyLimit, ...]:
    """The limits by the hour that a row sets."""
    found: list[tuple[Metric, int, Any]] = [
        (Metric.MESSAGES, row.messages_per_hour, row.messages_action),
        (Metric.BANDWIDTH, row.bandwidth_mb_per_hour * MB, row.bandwidth_action),
        (Metric.RECIPIENTS, row.recipients_per_hour, row.recipients_action),
    ]
    if isinstance(row, DomainLimits):
        found.append((Metric.BOUNCES, row.bounces_per_hour, row.bounces_action))
    return tuple(HourlyLimit(metric, amount, ThrottleAction(action)) for metric, amount, action in found if amount)


class DomainLimits(SendingLimits):
    """What a system administrator grants a domain."""

    bounces_per_hour = _most(
        _("bounces received per hour"),
        10_000_000,
        _("Returned mail that its users and lists get; beyond it what they send is throttled. 0 for no limit."),
    )
    bounces_action = _beyond(_("beyond those bounces"))

    max_users = models.PositiveIntegerField(
        _("users"), default=0, help_text=_("How many users it may have; 0 for no limit.")
    )
    max_message_kb = models.PositiveIntegerField(
        _("message size (KB)"),
        default=0,
        validators=[MaxValueValidator(2_000_000)],
        help_text=_("Largest message its users may send; 0 leaves the server's limit."),
    )
    max_recipients = models.PositiveIntegerField(
        _("recipients per message"),
        default=0,
        validators=[MaxValueValidator(100_000)],
        help_text=_("For messages its users send; 0 leaves the server's limit."),
    )

    class Meta:
        abstract = True


class UserLimits(SendingLimits):
    """What a user is granted."""

    mailbox_mb = models.PositiveIntegerField(
        _("mailbox size (MB)"), default=0, validators=[MinValueValidator(0)], help_text=_("0 for no limit.")
    )
    max_message_kb = models.PositiveIntegerField(
        _("message size (KB)"),
        default=0,
        validators=[MaxValueValidator(2_000_000)],
        help_text=_("Largest message the user may send; 0 leaves the domain's limit."),
    )
    max_recipients = models.PositiveIntegerField(
        _("recipients per message"),
        default=0,
        validators=[MaxValueValidator(100_000)],
        help_text=_("For messages the user sends; 0 leaves the domain's limit."),
    )

    class Meta:
        abstract = True
