"""Which installation this is: what the folders of the home are marked with."""

import uuid

from django.db import models


class Installation(models.Model):
    """One row. `marked` is when the folders got their marks: from then on one without its mark is not ours."""

    identifier = models.UUIDField(default=uuid.uuid4, editable=False)
    marked = models.DateTimeField(null=True, editable=False)

    # The number of the spool folder with the message files, and the home that it is in; none as long as none has any.
    files_in = models.UUIDField(null=True, editable=False)
    files_at = models.TextField(blank=True, default="", db_default="", editable=False)

    # When the list of first steps was finished or dismissed, and the file name of its test message.
    first_run_over = models.DateTimeField(null=True, editable=False)
    test_message = models.CharField(max_length=40, blank=True, default="", db_default="", editable=False)

    def __str__(self) -> str:
        return str(self.identifier)
