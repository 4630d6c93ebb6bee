"""Connections to Redis that cost little while it does not answer: after one has failed none is tried for a moment.

Redis carries nothing that can't do without it (DESIGN.md 3.2), so nobody may be held up by it for long: a Redis that
hangs would otherwise cost the whole time limit at every call.
"""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from redis import ConnectionPool, Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.sentinel import SentinelConnectionPool

from base import redis_url

# How long an answer may take, and the making of a connection.
ANSWER_SECONDS = 3.0
FIRST_REST_SECONDS = 0.5
LONGEST_REST_SECONDS = 4.0


class Resting(RedisConnectionError):
    """Redis did not answer a moment ago, and has not been asked again."""

    def __init__(self) -> None:
        super().__init__("Redis did not answer a moment ago; it is asked again in a few seconds.")


class _Rests(ConnectionPool):
    """A pool of redis-py's, with a pause after a failure that doubles up to LONGEST_REST_SECONDS."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._rest_seconds = FIRST_REST_SECONDS
        self._rests_until = 0.0
        super().__init__(*args, **kwargs)

    def get_connection(self, *_: Any, **__: Any) -> Any:
        if time.monotonic() < self._rests_until:
            raise Resting
        return super().get_connection()

    def release(self, connection: Any) -> None:
        # redis-py closes a connection that has failed, before it comes back here; one that could not be made as well.
        if connection.is_connected:
            self._rest_seconds = FIRST_REST_SECONDS
        else:
            self._rests_until = time.monotonic() + self._rest_seconds
            self._rest_seconds = min(2 * self._rest_seconds, LONGEST_REST_SECONDS)
        super().release(connection)


class RestingPool(_Rests):
    """Of connections to one server."""


class RestingSentinelPool(_Rests, SentinelConnectionPool):
    """Of connections to the server that Sentinels name."""


def new_client() -> Redis:
    """A client with a pool of its own. The URL's own time limits win."""
    url = str(settings.RQ_CONNECTION["URL"])
    limits = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}
    return Redis(connection_pool=redis_url.pool(url, RestingPool, RestingSentinelPool, **limits))
