"""What the log leaves out. Imported while Django is being set up: no models here."""

from __future__ import annotations

import logging


class NotAboutProbes(logging.Filter):
    """Keeps an answer of "not ready", which is no error of the web process, out of its log."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        return getattr(request, "path_info", "") != "/readyz"
