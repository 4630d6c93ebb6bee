"""When administrators were told of release requests."""

from __future__ import annotations

from django.db import models


class ReleaseNotice(models.Model):
    """The last mail about requests of one domain's users."""

    domain = models.CharField(max_length=255, unique=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"requests of {self.domain}, told {self.at}"
