"""Waiting for the database and for Redis, which after a boot may come later than Mailspool."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError

from base import redis_url
from mailspool.preflight import CannotStart

SAY_SECONDS = 10.0
_LOOK_SECONDS = 0.5


def wait_for_database(patience_seconds: float) -> None:
    """Return when the database answers; says every ten seconds why it doesn't. Raises CannotStart after `patience`."""
    waiting = _Waiting(patience_seconds)
    while True:
        try:
            connection.ensure_connection()
            return
        except (OperationalError, InterfaceError) as error:
            sentence = f"The database can't be used: {_first_line(error)} (DATABASE_URL says which)."
            # A file that can't be opened now can't be opened later.
            if connection.vendor == "sqlite" or waiting.is_over():
                raise CannotStart(sentence) from error
            waiting.say(sentence)
        finally:
            connection.close()
        time.sleep(_LOOK_SECONDS)


def wait_for_redis(patience_seconds: float) -> Redis | None:
    """A client once Redis answers; None, with a sentence on stderr, when it doesn't: mail flows without it."""
    client = redis_url.client(str(settings.RQ_CONNECTION["URL"]), socket_connect_timeout=2, socket_timeout=2)
    waiting = _Waiting(patience_seconds)
    which = "The Redis of REDIS_URL"
    if settings.REDIS_IS_EMBEDDED:
        which = f"The embedded Redis (its log: {settings.HOME.redis_log})"
    while True:
        try:
            client.ping()
            return client
        except RedisError as error:
            # A wrong password stays wrong.
            if isinstance(error, AuthenticationError) or waiting.is_over():
                _say(f"{which} can't be used: {_first_line(error)}. Mail flows without it; jobs of the console wait.")
                return None
        time.sleep(0.05)


class _Waiting:
    """How long it has been waited for something, and when that was said last."""

    def __init__(self, patience_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends = clock() + patience_seconds
        self._said = float("-inf")

    def is_over(self) -> bool:
        return self._clock() >= self._ends

    def say(self, sentence: str) -> None:
        """Say it on stderr, unless that was done within the last ten seconds."""
        now = self._clock()
        if now - self._said >= SAY_SECONDS:
            self._said = now
            _say(f"{sentence} Waiting for it, up to {max(1, round(self._ends - now))} more seconds.")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
