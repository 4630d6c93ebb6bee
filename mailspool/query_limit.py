"""A time limit for each query of the console: what somebody asks for there must not keep the others from their pages.

For the web process alone: jobs, passes and commands take the time that they need. What a page says when a query was
stopped is in mailspool.error_pages.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

QUERY_SECONDS: Final = 20.0
# SQLite looks at the clock after so many of its steps, a millisecond or so.
_STEPS: Final = 20_000
# So long without a step means that whoever reads the rows took the time, not the query.
_PAUSE_SECONDS: Final = 1.0
_QUERY_CANCELED: Final = "57014"


def install() -> None:
    """Have every connection that this process opens from now on stop a query after QUERY_SECONDS."""
    connection_created.connect(_opened, dispatch_uid="query-limit")


def was_stopped(error: BaseException) -> bool:
    """Whether a database error is that the query took too long."""
    return getattr(error.__cause__, "sqlstate", "") == _QUERY_CANCELED or str(error) == "interrupted"


def limit(connection: BaseDatabaseWrapper, seconds: float) -> None:
    """Stop each query on this open connection after that time. What DATABASE_URL says of it comes first."""
    if connection.vendor == "sqlite":
        watch = _Watch(seconds)
        connection.execute_wrappers[:] = [one for one in connection.execute_wrappers if not isinstance(one, _Watch)]
        connection.execute_wrappers.append(watch)
        connection.connection.set_progress_handler(watch.is_over, _STEPS)
    elif "statement_timeout" not in connection.settings_dict.get("OPTIONS", {}).get("options", ""):
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(round(seconds * 1000))])


def _opened(connection: BaseDatabaseWrapper, **more: Any) -> None:
    limit(connection, QUERY_SECONDS)


class _Watch:
    """Of one connection to SQLite: when its query began, and when it was seen at work last."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = self._seen = 0.0

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        self._began = self._seen = time.monotonic()
        return execute(sql, params, many, context)

    def is_over(self) -> bool:
        """SQLite's question on the way: true stops the query."""
        now = time.monotonic()
        if now - self._seen > _PAUSE_SECONDS:
            self._began = now
        self._seen = now
        return now - self._began > self._seconds
