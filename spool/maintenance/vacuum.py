"""Keeping the tables of content small while much goes through them: a thread of the scheduler."""

from __future__ import annotations

import logging
import threading
from typing import Final

from django.db import Error as DatabaseError
from django.db import close_old_connections, connection

from spool.rows import dead_content

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0


def run(stop: threading.Event) -> None:
    """Look every LOOK_SECONDS until `stop`. What fails is PostgreSQL's own vacuum's to do, a minute later."""
    while not stop.wait(LOOK_SECONDS):
        try:
            close_old_connections()
            dead_content.vacuum()
        except DatabaseError as error:
            log.debug("the tables of content could not be vacuumed: %s", error)
            connection.close()
        except Exception:  # the edge of the thread: it must not end before its process
            log.exception("the tables of content could not be vacuumed", extra={"seldom": True})
            connection.close()
    connection.close()
