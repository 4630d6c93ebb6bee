"""What is logged, where to, and what is left out. Imported by the settings: no models here."""

from __future__ import annotations

import logging
import time
from typing import Any

from spool.events import mail_log

SELDOM_SECONDS = 60.0


def logging_configuration(where: str, form: str, level: str) -> dict[str, Any]:
    """Django's LOGGING: what programs say to standard error, the mail log to `where` (spool.events.outlets)."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "not_probes": {"()": "mailspool.logs.NotAboutProbes"},
            "seldom_about_redis": {"()": "mailspool.logs.SeldomAboutRedis"},
        },
        "handlers": {
            "stderr": {"()": "spool.events.queue.program", "form": form},
            "mail": {"()": "spool.events.queue.mail", "where": where, "form": form},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            mail_log.NAME: {"handlers": ["mail"], "level": "INFO" if where != "none" else "ERROR", "propagate": False},
            "rq": {"level": "WARNING"},
            "rq.worker": {"filters": ["seldom_about_redis"]},
            "axes": {"level": "ERROR"},
            "mail.log": {"level": "ERROR"},
            "django.request": {"filters": ["not_probes"]},
        },
    }


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
