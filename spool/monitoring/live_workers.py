"""How many workers for mail there are, by their signs of life: limits are shared by those that run."""

from __future__ import annotations

from dataclasses import dataclass

from base import redis_client
from spool.monitoring.heartbeat_keys import PREFIXES, machine


@dataclass(frozen=True, slots=True)
class Live:
    """At least one each: whoever asks is one, though its first sign of life may be to come."""

    here: int
    everywhere: int


def count() -> Live:
    """Those of this machine, and of all. Raises RedisError."""
    prefix = PREFIXES["workers"]
    keys = [bytes(key).decode() for key in redis_client.redis().scan_iter(f"{prefix}*", count=1000)]
    here = sum(key.removeprefix(prefix).partition(":")[0] == machine() for key in keys)
    return Live(max(1, here), max(1, len(keys)))
