"""What concerns nobody in particular: one row, edited in the console."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator
from django.db import models
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.models import HourlyLimit, Metric, ThrottleAction
from accounts.models.limits import MB
from base.one_row import OneRow, Section
from base.texts import Text


def _limit(name: Text, help_text: Text) -> models.PositiveIntegerField[int, int]:
    return models.PositiveIntegerField(
        name,
        default=0,
        validators=[MaxValueValidator(100_000_000)],
        help_text=format_lazy("{}; {}", help_text, _lazy("0 for no limit.")),
    )


class ThrottleSettings(OneRow):
    """Limits of clients that have not logged in, and how limits answer and tell."""

    ip_messages_per_hour = _limit(_lazy("messages per hour"), _lazy("From one IP address"))
    ip_bandwidth_mb_per_hour = _limit(
        _lazy("bandwidth per hour (MB)"), _lazy("Size times recipients, from one IP address")
    )
    ip_recipients_per_hour = _limit(_lazy("recipients per hour"), _lazy("From one IP address"))
    ip_action = models.CharField(
        _lazy("when exceeded"),
        max_length=6,
        choices=ThrottleAction,
        default=ThrottleAction.REJECT,
        help_text=_lazy("Clients that may relay without a login are not counted."),
    )
    reject_permanently = models.BooleanField(
        _lazy("reject permanently (5xx)"),
        default=False,
        help_text=_lazy("Limits that reject answer 550, so clients give up; otherwise 450, so they try again later."),
    )
    notify_users = models.BooleanField(
        _lazy("notify users"),
        default=True,
        help_text=_lazy("By e-mail at 80 % of a limit and when it is reached, at most once an hour."),
    )
    notify_administrators = models.BooleanField(
        _lazy("notify domain administrators"),
        default=True,
        help_text=_lazy("The same, for their users, lists and domain."),
    )

    sections: ClassVar[tuple[Section, ...]] = (
        Section(
            _lazy("Clients without a login"),
            ("ip_messages_per_hour", "ip_bandwidth_mb_per_hour", "ip_recipients_per_hour", "ip_action"),
            _lazy("Limits for each IP address. Limits of users, lists and domains are on their own pages."),
        ),
        Section(
            _lazy("Answers and notices"),
            ("reject_permanently", "notify_users", "notify_administrators"),
            _lazy("Notifications."),
        ),
    )

    class Meta:
        verbose_name = verbose_name_plural = _lazy("throttling settings")

    def __str__(self) -> str:
        return _("Throttling")

    @property
    def ip_limits(self) -> tuple[HourlyLimit, ...]:
        """For each client IP."""
        amounts = (
            (Metric.MESSAGES, self.ip_messages_per_hour),
            (Metric.BANDWIDTH, self.ip_bandwidth_mb_per_hour * MB),
            (Metric.RECIPIENTS, self.ip_recipients_per_hour),
        )
        action = ThrottleAction(self.ip_action)
        return tuple(HourlyLimit(metric, amount, action) for metric, amount in amounts if amount)
