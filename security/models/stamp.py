"""The version of the lists, by which every process notices within a second that what it keeps is out of date."""

from django.db import models


class ListsStamp(models.Model):
    """One row whose number grows with every change to blacklist, whitelist and SMTP blocks."""

    version = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"version {self.version} of the lists"
