"""What every program needs before it can do its work: the tables of this code, and the folders of the home.

Asked before a program starts its work, and by /readyz: a program that works on other tables answers every client with
an error, and one without its folders stores mail where nobody looks for it.
"""

from __future__ import annotations

import logging
import time

from django.conf import settings as django_settings
from django.db import Error as DatabaseError
from django.db import connection

from base import schema
from spool.files import marks

log = logging.getLogger(__name__)


def wait() -> None:
    """Return when the tables are those of this code; until then say why not, at once and then once a minute.

    A program begins with it: what it would answer meanwhile helps nobody, and senders try again at a closed port.
    """
    said = None
    while why := fault():
        if said is None or time.monotonic() - said >= schema.SAY_SECONDS:
            log.error("waiting: %s", why)
            said = time.monotonic()
        time.sleep(schema.LOOK_SECONDS)
    if said is not None:
        log.warning("the database is there, its schema is this code's, and so are the folders")


def fault() -> str:
    """Why no program can do its work now: the tables, or the home's folders; empty when it can.

    What is no fault is only logged.
    """
    if django_settings.HOME.restore_mark.exists():
        return schema.RESTORE_UNFINISHED
    try:
        tables = schema.examine()
        if tables.fault:
            return tables.fault
        missing = marks.faults()
    except DatabaseError as error:
        return f"The database does not answer: {str(error).strip()} (DATABASE_URL says which)."
    finally:
        # What comes next may fork.
        connection.close()
    if tables.remark:
        log.warning(tables.remark)
    return " ".join(missing)
