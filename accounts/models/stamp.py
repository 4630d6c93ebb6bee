"""The version of the directory, by which processes notice that their cached addresses are out of date."""

from django.db import models
from django.utils.translation import gettext as _


class DirectoryStamp(models.Model):
    """One row whose number grows with every change to domains, users, aliases and lists."""

    version = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return _("directory version %(version)s") % {"version": self.version}
