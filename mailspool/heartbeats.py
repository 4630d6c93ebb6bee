"""Which programs are alive, by their signs of life in Redis (spool.monitoring.heartbeat)."""

from __future__ import annotations

from functools import cache
from typing import cast

from django.conf import settings
from redis import Redis

from spool.monitoring.heartbeat_keys import COUNTS, PREFIXES, PROGRAMS

# What a machine needs to take mail in and deliver it.
NEEDED = ("listeners", "workers", "maintenance", "scheduler")
# Who asks how we are does not wait longer for Redis.
ANSWER_SECONDS = 2.0


@cache
def redis_client() -> Redis:
    """A connection pool that gives up in time, unlike the queues' own, which waits for a Redis that restarts."""
    return Redis.from_url(
        str(settings.RQ_CONNECTION["URL"]), socket_connect_timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS
    )


def alive(client: Redis, machine: str = "") -> dict[str, list[str]]:
    """The keys of the programs that are alive, on one machine or all, by the names of PREFIXES. Raises RedisError."""
    found: dict[str, list[str]] = {kind: [] for kind in PREFIXES}
    for key in client.scan_iter("mailspool:*", count=1000):
        text = key.decode(errors="replace")
        for kind, prefix in PREFIXES.items():
            if text.startswith(f"{prefix}{machine}:" if machine else prefix):
                found[kind].append(text)
    return {kind: sorted(keys) for kind, keys in found.items()}


def counts(client: Redis) -> dict[str, int]:
    """What all programs have counted, on all machines. Raises RedisError."""
    totals: dict[str, int] = {}
    for key in client.scan_iter(f"{COUNTS}*", count=1000):
        for field, number in cast("dict[bytes, bytes]", client.hgetall(key)).items():
            name = field.decode(errors="replace")
            totals[name] = totals.get(name, 0) + int(number)
    return totals


def gauges(client: Redis, keys: list[str]) -> dict[str, int]:
    """What the programs with these keys show of themselves, added up. Raises RedisError."""
    with client.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.hgetall(key)
        answers = pipeline.execute(raise_on_error=False)
    totals: dict[str, int] = {}
    for answer in answers:
        for field, number in answer.items() if isinstance(answer, dict) else ():
            if number.isdigit():
                totals[field.decode()] = totals.get(field.decode(), 0) + int(number)
    return totals


def forget(client: Redis) -> None:
    """Drop the signs of an earlier run, whose programs are known to be gone: they outlive them. Raises RedisError."""
    for keys in alive(client).values():
        for key in keys:
            client.delete(key)
    client.delete(PROGRAMS)
