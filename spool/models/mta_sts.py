"""What mail domains have said of their own encryption, for as long as they said it."""

from django.db import models


class MTASTSPolicy(models.Model):
    """The policy of one domain as it was last fetched (RFC 8461). Written by workers, read when they start."""

    domain = models.CharField(max_length=255, primary_key=True)
    record_id = models.CharField(max_length=32, help_text="The id in the DNS when it was fetched.")
    mode = models.CharField(max_length=10)
    mx = models.JSONField(default=list, help_text="Names of mail hosts, or patterns.")
    expires = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = "MTA-STS policy"
        verbose_name_plural = "MTA-STS policies"

    def __str__(self) -> str:
        return self.domain
