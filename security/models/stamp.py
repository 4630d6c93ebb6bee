"""The version of the lists, by which every process notices within a second that what it keeps is out of date."""

from django.db import models
from django.utils.translation import gettext as _


class ListsStamp(models.Model):
    """One row whose number grows with every change to blacklist, whitelist and SMTP blocks."""

    version = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return _("version %(version)s of the lists") % {"version": self.version}
