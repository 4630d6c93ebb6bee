"""Messages that have no file."""

from typing import Final

from django.db import models

# The subspool of a message that never gets a file (MAILSPOOL_STORE=database): whoever lists it sees where it is.
IN_DATABASE: Final = "database"


class Content(models.Model):
    """The bytes of a message without a file: a small one that has not come to rest since it came in, or any at all
    whose place is the database.

    `entry_id` is no foreign key: both rows are written and removed in one transaction, many at a time; and the content
    stays as it is while the entry is in the trash or in a quarantine. With `parts`, so many rows of ContentPart have
    the bytes, and `content` is empty.
    """

    entry_id = models.BigIntegerField(primary_key=True)
    content = models.BinaryField()
    parts = models.PositiveIntegerField(null=True)

    def __str__(self) -> str:
        return str(self.entry_id)


class ContentPart(models.Model):
    """A piece of a message that is too large for one row; `part` counts from 0."""

    entry_id = models.BigIntegerField()
    part = models.PositiveIntegerField()
    content = models.BinaryField()

    pk = models.CompositePrimaryKey("entry_id", "part")

    def __str__(self) -> str:
        return f"{self.entry_id}.{self.part}"
