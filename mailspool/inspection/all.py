"""All looks, in order."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.utils.module_loading import import_string

from mailspool.inspection.findings import Finding, Look, fault, first_line, warning

log = logging.getLogger(__name__)


def inspect(paths: Iterable[str] | None = None) -> Iterator[Finding]:
    """The findings of the looks that `paths` name; without them, of all in MAILSPOOL_CHECKS."""
    for path in settings.MAILSPOOL_CHECKS if paths is None else paths:
        subject = path.rpartition(".")[2].replace("_", " ")
        try:
            look: Look = import_string(path)
            yield from look()
        except DatabaseError as error:
            # The look at the database itself says why.
            connection.close()
            yield warning(subject, f"Could not be looked at without the database: {first_line(error)}.")
        except Exception as error:
            # The edge of a look: one that breaks must not hide what the others see.
            log.debug("%s broke", path, exc_info=True)
            yield fault(subject, f"{path} broke: {type(error).__name__}: {first_line(error)}.")
