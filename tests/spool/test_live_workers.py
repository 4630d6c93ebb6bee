"""Limits are shared by the workers that show signs of life, not by those that the environment promises."""

from __future__ import annotations

from base import redis_client
from spool.monitoring import live_workers
from spool.monitoring.heartbeat_keys import PREFIXES, machine
from spool.monitoring.live_workers import Live


def test_workers_are_counted_by_their_signs_of_life_here_and_everywhere() -> None:
    client, prefix = redis_client.redis(), PREFIXES["workers"]
    assert live_workers.count() == Live(1, 1)
    try:
        for name in (f"{machine()}:1", f"{machine()}:2", f"{machine()}:box:3", "elsewhere:1"):
            client.hset(f"{prefix}{name}", "alive", "1")
        client.hset(f"{PREFIXES['maintenance']}{machine()}:4", "alive", "1")
        assert live_workers.count() == Live(3, 4)
    finally:
        client.delete(*client.keys(f"{prefix}*"), *client.keys(f"{PREFIXES['maintenance']}*"))
