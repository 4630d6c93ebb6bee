"""The log of delivery attempts."""

from django.db import models

from base.times import exact


class Attempt(models.Model):
    """One transaction with one host, or one local delivery. Only ever added; it outlives its entry (see Trace)."""

    file_name = models.CharField(max_length=40)
    at = models.DateTimeField(db_index=True)
    recipients = models.TextField(help_text="Addresses it was for, one per line.")
    host = models.CharField(
        max_length=255, blank=True, default="", help_text="Name of the host, or where it was stored."
    )
    ip = models.CharField("IP", max_length=45, blank=True, default="")
    tls = models.CharField("TLS", max_length=60, blank=True, default="", help_text="Protocol version and cipher.")
    code = models.PositiveSmallIntegerField(default=0, help_text="SMTP reply code; 0 when no reply came.")
    reply = models.CharField(max_length=500, blank=True, default="")
    seconds = models.FloatField(default=0)
    machine = models.CharField(
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text="Which machine tried it, where there are several.",
    )

    class Meta:
        ordering = ["-at"]
        # Not db_index=True: on PostgreSQL that makes a second one, for LIKE.
        indexes = [models.Index(fields=["file_name"], name="attempt_file_name")]

    def __str__(self) -> str:
        by = f" (by {self.machine})" if self.machine else ""
        return f"{exact(self.at)} {self.host} {self.reply}{by}"
