"""How actions end."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Result(models.TextChoices):
    """What came of an action. Rows of versions before this one have none, and a sentence instead."""

    BEGUN = "begun", _("Begun")
    DONE = "done", _("Done")
    CANCELLED = "cancelled", _("Cancelled")
    FAILED = "failed", _("Failed")
