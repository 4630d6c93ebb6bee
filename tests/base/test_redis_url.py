"""REDIS_URL may name Sentinels: a real one has the copy take over, and connections find it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django_rq.connection_utils import get_redis_connection
from redis import Redis
from redis.exceptions import RedisError

from base import redis_pool, redis_url
from mailspool.environment import kinds
from tests.support.redis import WatchedRedis
from tests.support.waiting import wait_until


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[WatchedRedis]:
    servers = WatchedRedis(tmp_path)
    try:
        servers.start()
        yield servers
    finally:
        servers.kill()


def test_the_server_that_takes_writes_is_found_also_after_a_fail_over(watched: WatchedRedis, settings: Any) -> None:
    settings.RQ_CONNECTION = {"URL": watched.url, "DEFAULT_TIMEOUT": 600}
    queue = get_redis_connection(redis_url.queue(settings.RQ_CONNECTION))
    clients: list[Redis] = [watched.client(), redis_pool.new_client(), queue]

    def takes_writes(client: Redis) -> bool:
        try:
            return bool(client.set("key", "value"))
        except RedisError:
            return False

    assert all(takes_writes(client) for client in clients)
    watched.servers[0].kill()
    for client in clients:
        wait_until(lambda client=client: takes_writes(client), "the copy has taken over", 60)  # type: ignore[misc]

    async def look() -> bytes | None:
        async with redis_url.async_client(watched.url) as client:
            return await client.get("key")  # type: ignore[no-any-return]

    assert asyncio.run(look()) == b"value"
    for client in clients:
        client.close()


def test_what_a_url_of_sentinels_says() -> None:
    url = "rediss+sentinel://mail:p%40ss@a.test:26380,b.test/main/3?sentinel_password=other"
    assert kinds.redis(url) == url
    found = redis_url.sentinels(url)
    assert found is not None
    assert found.hosts == (("a.test", 26380), ("b.test", 26379))
    assert (found.name, found.database, found.username, found.password) == ("main", 3, "mail", "p@ss")
    assert found.sentinel_password == "other" and found.tls
    assert redis_url.sentinels("redis://host/0") is None


@pytest.mark.parametrize("url", ["redis+sentinel://host", "redis+sentinel:///main", "redis+sentinel://a,/main?b=c"])
def test_a_url_of_sentinels_that_says_too_little_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(kinds.Wrong, match="of Sentinels it must be"):
        kinds.redis(url)
