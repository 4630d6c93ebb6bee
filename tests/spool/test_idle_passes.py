"""A pass that has ended takes no rings: the next message must not wait for the sweep."""

from __future__ import annotations

import time

import pytest

from spool import doorbell, passes
from tests.support.redis import RedisServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("home")]


@pytest.mark.parametrize("linger_seconds", [0.0, 0.3, 1.0])
def test_an_idle_pass_is_no_listener_any_more(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, linger_seconds: float
) -> None:
    monkeypatch.setattr(passes, "LINGER_SECONDS", linger_seconds)

    passes.run()
    time.sleep(0.2)

    with redis.client() as client:
        assert client.zcard(doorbell.LISTENERS) == 0


def test_a_ring_after_an_idle_pass_queues_the_next(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "LINGER_SECONDS", 0.0)
    passes.run()

    doorbell.ring()

    assert doorbell.mail_queue().count == 1


def test_a_ring_in_the_last_moment_is_heard(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "LINGER_SECONDS", 0.0)
    rounds = 0
    usual_leave = passes._leave

    def leave_just_after_a_ring(listening: doorbell.Listening) -> bool:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            doorbell.ring()
        return usual_leave(listening)

    monkeypatch.setattr(passes, "_leave", leave_just_after_a_ring)

    passes.run()

    assert rounds == 2
