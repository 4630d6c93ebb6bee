"""Counts of mail: what waits to be added up, buckets and totals by who and whither, and the history of everything."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _lazy


class TrafficKind(models.IntegerChoices):
    """What is counted, and by which key. Deliveries are recipients that have the message."""

    LOCAL = 1, _lazy("Local deliveries")
    REMOTE = 2, _lazy("Remote deliveries")
    OUTBOUND_SENDER = 3, _lazy("Top Outbound Senders")
    OUTBOUND_IP = 4, _lazy("Top Outbound IP Addresses")
    INBOUND_RECIPIENT = 5, _lazy("Top Inbound Recipients")
    INBOUND_SENDER = 6, _lazy("Top Inbound Senders")
    INBOUND_IP = 7, _lazy("Top Inbound IP Addresses")
    INBOUND_DOMAIN = 8, _lazy("Top Inbound Domains")
    RECEIVED_SENDER = 9, _lazy("Messages taken in, by sender")
    RECEIVED_INBOUND = 10, _lazy("Messages taken in for recipients here")
    RECEIVED_OUTBOUND = 11, _lazy("Messages taken in for recipients elsewhere")
    BOUNCED = 12, _lazy("Recipients that bounced or expired")
    HANDED_IN_USER = 13, _lazy("Messages handed in, by the user who logged in")
    HANDED_IN_SENDER = 14, _lazy("Messages handed in without a login, by sender")
    HANDED_IN_IP = 15, _lazy("Messages handed in, by client IP")
    DEFERRED_USER = 16, _lazy("Messages deferred at their first attempt, by user")
    DEFERRED_SENDER = 17, _lazy("Messages deferred at their first attempt, by sender without a login")
    DEFERRED_IP = 18, _lazy("Messages deferred at their first attempt, by client IP")
    BOUNCED_USER = 19, _lazy("Recipients that bounced or expired, by user")
    BOUNCED_SENDER = 20, _lazy("Recipients that bounced or expired, by sender without a login")
    BOUNCED_IP = 21, _lazy("Recipients that bounced or expired, by client IP")
    ANSWERED_DOMAIN = 22, _lazy("Recipients elsewhere that were delivered, refused or deferred, by their domain")
    REFUSED_DOMAIN = 23, _lazy("Recipients elsewhere that were refused or deferred, by their domain")


# The upper bounds of the latency histogram; what took longer than the last has a place of its own.
BOUNDS_SECONDS = (0.25, 0.5, 1, 2, 5, 15, 60, 300, 900, 3600, 14400, 86400)
LATENCY = tuple(f"latency_{place:02}" for place in range(len(BOUNDS_SECONDS) + 1))
# The columns of the series that are added up.
COUNTED = ("received_inbound", "received_outbound", "delivered_local", "delivered_remote", "bounced", *LATENCY)
# The key of what is counted for the whole server.
WHOLE = "-"


class TrafficBatch(models.Model):
    """The receipts or outcomes of one commit, as JSON, until they are added up."""

    payload = models.TextField()

    class Meta:
        verbose_name_plural = "traffic batches"

    def __str__(self) -> str:
        return f"batch {self.pk}"


class TrafficCount(models.Model):
    """One bucket of one key: `number` in the `span` minutes from `minute` on (minutes since 1970, UTC).

    Buckets of a minute become buckets of an hour after an hour, and go after a day.
    """

    pk = models.CompositePrimaryKey("kind", "key", "minute", "span")
    kind = models.PositiveSmallIntegerField(choices=TrafficKind)
    key = models.CharField(max_length=320, blank=True)
    minute = models.IntegerField()
    span = models.PositiveSmallIntegerField()
    number = models.IntegerField()

    class Meta:
        indexes = [
            models.Index(fields=["span", "minute"], name="traffic_count_minute"),
            # Who has most in the last minutes.
            models.Index(fields=["kind", "minute"], name="traffic_count_lately", condition=models.Q(span=1)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key} {self.minute}: {self.number}"


class TrafficTotal(models.Model):
    """What the buckets of one key amount to (`day`), and everything that it ever had (`total`)."""

    pk = models.CompositePrimaryKey("kind", "key")
    kind = models.PositiveSmallIntegerField(choices=TrafficKind)
    key = models.CharField(max_length=320, blank=True)
    day = models.IntegerField()
    total = models.BigIntegerField()
    seen = models.IntegerField(help_text="The last minute it was counted.")

    class Meta:
        indexes = [
            models.Index(fields=["kind", "-day", "key"], name="traffic_total_day"),
            models.Index(fields=["kind", "-total", "key"], name="traffic_total_ever"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}: {self.day}"


class TrafficSeries(models.Model):
    """The whole server in one span of time, for charts. Minutes are kept for two days, hours for years."""

    pk = models.CompositePrimaryKey("span", "minute")
    span = models.PositiveSmallIntegerField()
    minute = models.IntegerField()
    received_inbound = models.IntegerField(default=0, help_text="Messages taken in for local recipients only.")
    received_outbound = models.IntegerField(default=0, help_text="Messages taken in with a remote recipient.")
    delivered_local = models.IntegerField(default=0)
    delivered_remote = models.IntegerField(default=0)
    bounced = models.IntegerField(default=0, help_text="Recipients that were refused for good, or expired.")
    depth = models.JSONField(default=dict, help_text="Messages in the spool by status, at the last look.")
    # Deliveries by their time in the spool, up to each of BOUNDS_SECONDS and longer. Columns, so that SQL adds them up.
    latency_00 = models.IntegerField(default=0)
    latency_01 = models.IntegerField(default=0)
    latency_02 = models.IntegerField(default=0)
    latency_03 = models.IntegerField(default=0)
    latency_04 = models.IntegerField(default=0)
    latency_05 = models.IntegerField(default=0)
    latency_06 = models.IntegerField(default=0)
    latency_07 = models.IntegerField(default=0)
    latency_08 = models.IntegerField(default=0)
    latency_09 = models.IntegerField(default=0)
    latency_10 = models.IntegerField(default=0)
    latency_11 = models.IntegerField(default=0)
    latency_12 = models.IntegerField(default=0)

    class Meta:
        verbose_name_plural = "traffic series"

    def __str__(self) -> str:
        return f"{self.minute} ({self.span} min)"


class TrafficState(models.Model):
    """How far the adding up is: one row."""

    since = models.DateTimeField(help_text="When counting began.")
    rolled = models.DateTimeField(help_text="Everything that was committed before is counted.")
    tidied = models.IntegerField(default=0, help_text="The minute of the last compaction.")

    def __str__(self) -> str:
        return f"counted until {self.rolled}"
