"""Messages that have no file."""

from django.db import models


class Content(models.Model):
    """The bytes of a small message that has not come to rest since it came in; then it gets its file.

    `entry_id` is no foreign key: both rows are written and removed in one transaction, many at a time.
    """

    entry_id = models.BigIntegerField(primary_key=True)
    content = models.BinaryField()

    def __str__(self) -> str:
        return str(self.entry_id)
