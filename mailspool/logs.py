"""What the log leaves out. Imported while Django is being set up: no models here."""

from __future__ import annotations

import logging
import time

SELDOM_SECONDS = 60.0


class NotAboutProbes(logging.Filter):
    """Keeps an answer of "not ready", which is no error of the web process, out of its log."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        return getattr(request, "path_info", "") != "/readyz"


class SeldomAboutRedis(logging.Filter):
    """Lets RQ say once a minute that Redis is away: each of its threads would say so every two seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._said = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        if "could not connect to Redis" not in str(record.msg):
            return True
        now = time.monotonic()
        if now - self._said < SELDOM_SECONDS:
            return False
        self._said = now
        return True
