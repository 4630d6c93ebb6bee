"""Which installation this is: what the folders of the home are marked with."""

import uuid

from django.db import models


class Installation(models.Model):
    """One row. `marked` is when the folders got their marks: from then on one without its mark is not ours."""

    identifier = models.UUIDField(default=uuid.uuid4, editable=False)
    marked = models.DateTimeField(null=True, editable=False)

    # The number of the folders with message files and mailboxes, and the home that they are in; none as long as none has
    # any. And what tells the key that stored credentials are sealed with.
    files_in = models.UUIDField(null=True, editable=False)
    files_at = models.TextField(blank=True, default="", db_default="", editable=False)
    sealed_with = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)

    # When the list of first steps was finished or dismissed, and the file name of its test message.
    first_run_over = models.DateTimeField(null=True, editable=False)
    test_message = models.CharField(max_length=40, blank=True, default="", db_default="", editable=False)

    def __str__(self) -> str:
        return str(self.identifier)
