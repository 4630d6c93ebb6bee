"""Bounces that came back to our users."""

from django.db import models
from django.utils.translation import gettext_lazy as _lazy


class ReceivedBounce(models.Model):
    """A delivery status notification about mail that one of our users or lists sent."""

    user = models.CharField(max_length=254)
    domain = models.CharField(max_length=255)
    failed_recipient = models.CharField(max_length=320, blank=True, default="")
    status = models.CharField(max_length=20, blank=True, default="", help_text=_lazy("RFC 3463 code, as 5.1.1."))
    diagnostic = models.CharField(max_length=500, blank=True, default="")
    received = models.DateTimeField()
    # Null in rows of versions that believed every report.
    trace_id = models.BigIntegerField(
        null=True, unique=True, editable=False, help_text="The line of the trace that it is about; counted once."
    )

    class Meta:
        indexes = [
            models.Index(fields=["user", "received"], name="bounce_user"),
            models.Index(fields=["domain", "received"], name="bounce_domain"),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.failed_recipient} {self.status}"
