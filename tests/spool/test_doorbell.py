"""A pass is one of those whom a ring wakes, however seldom it says so."""

from __future__ import annotations

import pytest

from spool.flow import doorbell, passes
from tests.support.redis import RedisServer

pytestmark = pytest.mark.usefixtures("home")


def test_a_pass_that_is_rung_for_often_registers_once_a_second(redis: RedisServer) -> None:
    listening = doorbell.Listening("a pass")
    with redis.client() as client:
        listening.register()
        client.zrem(doorbell.LISTENERS, "a pass")
        listening.register()
        at_once = client.zcard(doorbell.LISTENERS)
        listening.forget()
        listening.register()

        assert (at_once, client.zcard(doorbell.LISTENERS)) == (0, 1)


def test_who_has_left_is_back_as_soon_as_it_listens_again(redis: RedisServer) -> None:
    listening = doorbell.Listening("a pass")
    listening.register()
    listening.leave()

    listening.register()

    with redis.client() as client:
        assert client.zcard(doorbell.LISTENERS) == 1


def test_a_redis_that_was_started_anew_and_has_forgotten_it_is_told_again(redis: RedisServer) -> None:
    listening = doorbell.Listening("a pass")
    doorbell.ring()
    passes._rings(listening)
    with redis.client() as client:
        client.flushall()
    redis.kill()
    assert passes._rings(listening) is False
    redis.start()

    passes._rings(listening)

    with redis.client() as client:
        assert client.zcard(doorbell.LISTENERS) == 1


def test_another_worker_is_rung_for_though_the_pass_that_rings_listens(redis: RedisServer) -> None:
    doorbell.Listening("a pass").register()
    doorbell.ring()
    assert doorbell.mail_queue().count == 0

    doorbell.ring_for_another()
    doorbell.ring_for_another()

    assert doorbell.mail_queue().count == 1


def test_while_no_worker_takes_the_ring_no_more_are_queued(redis: RedisServer) -> None:
    """They are all at work, for longer than a ring stands."""
    doorbell.ring_for_another()
    doorbell.answered()

    doorbell.ring_for_another()

    assert doorbell.mail_queue().count == 1
