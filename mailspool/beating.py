"""The console's sign of life, from the first request on that a process of it answers: gunicorn forks before that."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Beating:
    """A WSGI application around another. The thread ends with its process; Redis then forgets the sign by itself."""

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
        from spool.heartbeat import Heart

        with self._beginning:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                run = Heart("console").run
                threading.Thread(target=run, args=(threading.Event(),), name="heartbeat", daemon=True).start()
