"""How actions end."""

from django.db import models


class Result(models.TextChoices):
    """What came of an action. Rows of versions before this one have none, and a sentence instead."""

    BEGUN = "begun", "Begun"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"
