"""What happened at limits, and who was told."""

from django.db import models
from django.db.models import Q

from accounts.models import Metric, ThrottleAction
from throttling.subjects import SubjectKind


class ThrottleEvent(models.Model):
    """A time during which somebody was over a limit. `ended` is null while it lasts: one for each subject and metric."""

    kind = models.CharField(max_length=6, choices=SubjectKind)
    name = models.CharField(max_length=255)
    domain = models.CharField(max_length=255, blank=True, default="")
    metric = models.CharField("reason", max_length=10, choices=Metric)
    action = models.CharField(max_length=6, choices=ThrottleAction)
    amount = models.BigIntegerField("limit", help_text="Messages, bytes, recipients or bounces in an hour.")
    used = models.BigIntegerField(help_text="How much was counted when it was last looked at.")
    since = models.DateTimeField()
    last = models.DateTimeField(help_text="When a message was last beyond the limit.")
    until = models.DateTimeField(null=True, blank=True, help_text="When it ends, as far as can be said.")
    ended = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=254, blank=True, default="", help_text="Who released it; empty: by itself.")

    class Meta:
        ordering = ["-since", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "name", "metric"], name="throttle_event_open", condition=Q(ended__isnull=True)
            )
        ]
        indexes = [
            models.Index(fields=["kind", "name", "since"], name="throttle_event_subject"),
            models.Index(fields=["domain", "since"], name="throttle_event_domain"),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.get_metric_display()} since {self.since:%Y-%m-%d %H:%M:%S}"


class ThrottleNotice(models.Model):
    """The last notice of its kind to somebody: the next one only after an hour."""

    kind = models.CharField(max_length=6, choices=SubjectKind)
    name = models.CharField(max_length=255)
    metric = models.CharField(max_length=10, choices=Metric)
    level = models.PositiveSmallIntegerField(help_text="Per cent of the limit that it was about.")
    sent = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "name", "metric", "level"], name="throttle_notice_once")]

    def __str__(self) -> str:
        return f"{self.name}: {self.level} % of {self.metric}"
