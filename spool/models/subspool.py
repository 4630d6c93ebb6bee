"""The folders that hold message files."""

from django.db import models


class Subspool(models.Model):
    """One folder below `<home>/spool/`. New mail goes to the open one; it is closed when it is full."""

    name = models.CharField(max_length=60, unique=True)
    files = models.PositiveIntegerField(default=0, help_text="Files written to it since it was opened.")
    open = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name
