"""What is logged, where to, and what is left out. Imported by the settings: no models here."""

from __future__ import annotations

import logging
import time
from typing import Any

from django.db import InterfaceError, OperationalError
from redis.exceptions import RedisError

from spool.events import mail_log

SELDOM_SECONDS = 60.0
_MOST_KEPT = 1000
# An outage and nothing else: what else goes wrong with the database or Redis is news each time.
AWAY = (RedisError, OperationalError, InterfaceError)


def logging_configuration(where: str, form: str, level: str) -> dict[str, Any]:
    """Django's LOGGING: what programs say to standard error, the mail log to `where` (spool.events.outlets)."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "not_probes": {"()": "mailspool.logs.NotAboutProbes"},
            "seldom": {"()": "mailspool.logs.Seldom"},
        },
        "handlers": {
            "stderr": {"()": "spool.events.queue.program", "form": form, "filters": ["seldom"]},
            "mail": {"()": "spool.events.queue.mail", "where": where, "form": form},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            mail_log.NAME: {"handlers": ["mail"], "level": "INFO" if where != "none" else "ERROR", "propagate": False},
            "rq": {"level": "WARNING"},
            "mail.log": {"level": "ERROR"},
            "django.request": {"filters": ["not_probes"]},
        },
    }


class NotAboutProbes(logging.Filter):
    """Keeps an answer of "not ready", which is no error of the web process, out of its log."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        return getattr(request, "path_info", "") != "/readyz"


class Seldom(logging.Filter):
    """Lets each line about an outage through once a minute, and says then how many were left out.

    Redis or the database may be away for hours, and everything that wants them meets that every few seconds. A line is
    about an outage when one of AWAY is its exception or among its arguments, when it is RQ's word for that, or when it
    says so itself (`extra={"seldom": True}`). Of a traceback a sentence is left: it says only who wanted something.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}
        self._left_out: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        raised = record.exc_info[1] if record.exc_info else None
        if not (isinstance(raised, AWAY) or _tells_of_an_outage(record)):
            return True
        key = record.name, str(record.msg)
        now = time.monotonic()
        if now - self._said.get(key, float("-inf")) < SELDOM_SECONDS:
            self._left_out[key] = self._left_out.get(key, 0) + 1
            return False
        if len(self._said) > _MOST_KEPT:
            self._said.clear()
        self._said[key] = now
        text = record.getMessage()
        if isinstance(raised, AWAY):
            text = f"{text}: {raised or type(raised).__name__}"
            record.exc_info = record.exc_text = None
        if left_out := self._left_out.pop(key, 0):
            text = f"{text} ({left_out} more like this since the last one)"
        # libpq's errors have several lines.
        record.msg, record.args = " ".join(text.split()), ()
        return True


def _tells_of_an_outage(record: logging.LogRecord) -> bool:
    if getattr(record, "seldom", False):
        return True
    if isinstance(record.args, tuple) and any(isinstance(argument, AWAY) for argument in record.args):
        return True
    return record.name == "rq.worker" and "Redis" in str(record.msg)
