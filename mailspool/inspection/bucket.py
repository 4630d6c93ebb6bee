"""The bucket for large messages: that it takes, gives and removes what it is asked to, and for whom."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from django.conf import settings

from mailspool.inspection.findings import Finding, fault, first_line, ok, warning
from spool.files import bucket as client
from spool.models.content import StoredObject
from spool.places import objects


def bucket() -> Iterator[Finding]:
    """Whether it can be used; whether any message needs it, where none is named."""
    kept = StoredObject.objects.filter(entry_id__isnull=False).count()
    if not client.is_set():
        if kept:
            yield fault(
                "bucket",
                f"{kept} messages are in a bucket, and MAILSPOOL_S3 names none: they wait. Name it again; with"
                " MAILSPOOL_S3_KB=0 they come back into the database (docs/machines.md).",
            )
        return
    try:
        client.probe(f"{objects.folder()}/probe-{uuid.uuid4()}")
    except OSError as error:
        yield fault("bucket", f"It can't be used: {first_line(error)}. Large messages are answered 451, and wait.")
    else:
        yield ok("bucket", f"{settings.MAILSPOOL_S3} takes, gives back and removes objects; {kept} messages are there.")
    where = settings.MAILSPOOL_S3
    if where is not None and where.endpoint.startswith("http:"):
        yield warning("bucket", "Mail goes there in clear text: https:// encrypts it.")
    if settings.MAILSPOOL_STORE != "database":
        yield warning("bucket", "Nothing new goes there: that is done with MAILSPOOL_STORE=database alone.")
