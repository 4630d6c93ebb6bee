"""The loop of the alerts, in a thread of the scheduler: look at the rules, and send what is due."""

from __future__ import annotations

import logging
import threading
from datetime import datetime

from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, close_old_connections, connection
from django.utils import timezone

from spool.alerts import outbox, watching

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0


def run(stop: threading.Event) -> None:
    """Look at the rules and send what is due, until `stop`: a thread of the scheduler.

    While the database is away there is nothing to look at, and nobody to send to: that is logged, and told afterwards.
    """
    away_since: datetime | None = None
    while not stop.wait(LOOK_SECONDS):
        now = timezone.now()
        try:
            close_old_connections()
            if away_since is not None:
                watching.look_back("database", away_since, now)
                log.warning("the database is back; it was away since %s", away_since.isoformat(timespec="seconds"))
                away_since = None
            watching.look(now)
            outbox.send_due(now)
        except (OperationalError, InterfaceError) as error:
            away_since = away_since or now
            log.error("the database is away, and alerts wait for it: %s", error)
            connection.close()
        except DatabaseError as error:
            log.error("the alert rules could not be looked at, trying again: %s", error)
            connection.close()
        except Exception:  # the edge of the thread: it must not end before its process
            log.exception("the alert rules could not be looked at", extra={"seldom": True})
            connection.close()
    connection.close()
