"""The console's sign of life, from the first request on that a process of it answers: gunicorn forks before that."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class WithHeartbeat:
    """A WSGI application around another. A process that ends in order says so, and is not missed."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._pid = 0
        self._beginning = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self._pid != os.getpid():
            self._begin()
        return self._application(environ, start_response)

    def _begin(self) -> None:
        # Django has to be set up.
        from spool.monitoring.heartbeat import Heart
        from spool.monitoring.names import CONSOLE

        with self._beginning:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                atexit.register(Heart(CONSOLE).start())
