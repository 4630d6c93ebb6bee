"""What programs have counted, as Redis has it (spool.monitoring.heartbeat)."""

from __future__ import annotations

from functools import cache
from typing import cast

from django.conf import settings
from redis import Redis

from base import redis_url
from spool.monitoring.names import COUNTS

# Who asks how we are does not wait longer for Redis.
ANSWER_SECONDS = 2.0


@cache
def redis_client() -> Redis:
    """A connection pool that gives up in time, unlike the queues' own, which waits for a Redis that restarts."""
    return redis_url.client(
        str(settings.RQ_CONNECTION["URL"]), socket_connect_timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS
    )


def counts(client: Redis) -> dict[str, int]:
    """What all programs have counted, on all machines. Raises RedisError."""
    totals: dict[str, int] = {}
    for key in client.scan_iter(f"{COUNTS}*", count=1000):
        for field, number in cast("dict[bytes, bytes]", client.hgetall(key)).items():
            name = field.decode(errors="replace")
            totals[name] = totals.get(name, 0) + int(number)
    return totals
