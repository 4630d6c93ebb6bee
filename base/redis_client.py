"""The connection to Redis that a process has, for everything but RQ's workers, which make their own."""

from __future__ import annotations

from functools import cache

from redis import Redis
from redis.exceptions import RedisError

from base.redis_pool import new_client

PROBE = "mailspool:probe"  # written to find out whether Redis takes anything
_PROBE_SECONDS = 6


@cache
def redis() -> Redis:
    """The client, with its pool of connections."""
    return new_client()


def is_there() -> bool:
    """Whether Redis takes what it is given. One that answers may refuse to write: its disk is full, it is a replica."""
    try:
        redis().set(PROBE, "1", ex=_PROBE_SECONDS)
    except RedisError:
        return False
    return True
