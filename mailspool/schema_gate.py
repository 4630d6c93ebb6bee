"""Keeps requests from pages as long as the database's tables are not this code's; probes are answered all the same."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from django.db import Error as DatabaseError
from django.db import connection

from base import schema

log = logging.getLogger(__name__)

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_PROBES = ("/healthz", "/readyz", "/metrics")
_TEXT = b"Mailspool waits for its database to be brought up to date. Its log and /readyz say more.\n"


class WhenSchemaFits:
    """A WSGI application around another. Once the schema was right it costs nothing: it can only become newer."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._fits = False
        self._looked = self._said = float("-inf")
        self._looking = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self._fits or environ.get("PATH_INFO") in _PROBES or self._look():
            return self._application(environ, start_response)
        start_response(
            "503 Service Unavailable",
            [
                ("Content-Type", "text/plain"),
                ("Content-Length", str(len(_TEXT))),
                ("Retry-After", "10"),
                ("Cache-Control", "no-store"),
            ],
        )
        return [_TEXT]

    def _look(self) -> bool:
        """Whether the schema is right by now; looked at every two seconds at most."""
        with self._looking:
            now = time.monotonic()
            if self._fits or now - self._looked < schema.LOOK_SECONDS:
                return self._fits
            self._looked = now
            try:
                fault = schema.examine().fault
            except DatabaseError:
                # Not for here: pages say what they say when the database is away.
                self._looked = float("-inf")
                return True
            finally:
                connection.close()
            self._fits = not fault
            if fault and now - self._said >= schema.SAY_SECONDS:
                self._said = now
                log.error("no pages: %s", fault)
            return self._fits
