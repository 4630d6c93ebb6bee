"""Messages that have no file."""

from typing import ClassVar, Final

from django.db import models

# The subspool of a message that never gets a file (MAILSPOOL_STORE=database): whoever lists it sees where it is.
IN_DATABASE: Final = "database"


class Content(models.Model):
    """The bytes of a message without a file: a small one that has not come to rest since it came in, or any at all
    whose place is the database.

    `entry_id` is no foreign key: both rows are written and removed in one transaction, many at a time; and the content
    stays as it is while the entry is in the trash or in a quarantine. With `parts`, so many rows of ContentPart have
    the bytes, and `content` is empty; where there are none of those, a StoredObject has them.
    """

    entry_id = models.BigIntegerField(primary_key=True)
    content = models.BinaryField()
    parts = models.PositiveIntegerField(null=True)

    def __str__(self) -> str:
        return str(self.entry_id)


class StoredObject(models.Model):
    """An object in a bucket, which has the bytes of a message that is too large for rows (spool.files.bucket).

    Its row is committed before the object is put; the message's rows name it by `entry_id` in the transaction that
    makes the message. One that no message names is to go: `is_doomed` says that none may name it any more. Its key is
    never used again; two messages that were one name the same.
    """

    id = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=100, help_text="Below the prefix that MAILSPOOL_S3 names.")
    entry_id = models.BigIntegerField(null=True)
    size_bytes = models.BigIntegerField()
    at = models.DateTimeField(help_text="When it was announced, or the message that it was of ended.")
    is_doomed = models.BooleanField(default=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["key"], name="object_key"),
            models.Index(fields=["entry_id"], name="object_entry", condition=models.Q(entry_id__isnull=False)),
            models.Index(fields=["at"], name="object_of_none", condition=models.Q(entry_id__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.key


class ContentPart(models.Model):
    """A piece of a message that is too large for one row; `part` counts from 0."""

    entry_id = models.BigIntegerField()
    part = models.PositiveIntegerField()
    content = models.BinaryField()

    pk = models.CompositePrimaryKey("entry_id", "part")

    def __str__(self) -> str:
        return f"{self.entry_id}.{self.part}"
