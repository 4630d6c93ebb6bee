"""The console's sign of life, from the first request on that a process of it answers: gunicorn forks before that."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

# How long the end of a process waits for a Redis that hangs.
END_SECONDS = 4.0
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

        with self._beginning:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                heart, stop = Heart("console"), threading.Event()
                thread = threading.Thread(target=heart.run, args=(stop,), name="heartbeat", daemon=True)
                thread.start()
                atexit.register(_end, thread, stop)


def _end(thread: threading.Thread, stop: threading.Event) -> None:
    stop.set()
    thread.join(END_SECONDS)
