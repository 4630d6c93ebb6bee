"""A pass that has ended takes no rings: the next message must not wait for the sweep."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable

import pytest

from spool.flow import doorbell, passes
from spool.flow.local_bell import Bell
from tests.support.redis import RedisServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("home")]


class LastMoment:
    """Puts the end of a pass where it hurts: while it waits for the bell. `ring` is called in that very moment,
    `before` in the last one in which it listens."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        ring: Callable[[], object] = lambda: None,
        before: Callable[[], object] = lambda: None,
    ) -> None:
        self.leaves = 0
        self._wants_to_leave = threading.Event()
        self._ring, self._before = ring, before
        self._ask, self._rings, self._leave = passes.Pass._rang_meanwhile, passes._rings, passes._leave
        monkeypatch.setattr(passes, "LINGER_SECONDS", 0.0)
        monkeypatch.setattr(passes.Pass, "_rang_meanwhile", functools.partialmethod(LastMoment._asked_by, self))
        monkeypatch.setattr(passes, "_rings", self._wait_until_it_leaves)
        monkeypatch.setattr(passes, "_leave", self._leave_slowly)

    @staticmethod
    async def _asked_by(running: passes.Pass, moment: LastMoment, listening: doorbell.Listening) -> bool:
        moment.leaves += 1
        if moment.leaves == 1:
            moment._before()
        moment._wants_to_leave.set()
        return await moment._ask(running, listening)

    def _wait_until_it_leaves(self, listening: doorbell.Listening) -> bool:
        if self._wants_to_leave.is_set():
            return self._rings(listening)
        listening.register()
        assert self._wants_to_leave.wait(10)
        self._ring()
        return listening.wait(0.5)

    def _leave_slowly(self, listening: doorbell.Listening) -> bool:
        time.sleep(0.2)
        return self._leave(listening)


def test_an_idle_pass_is_no_listener_any_more(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    LastMoment(monkeypatch)

    passes.run()
    time.sleep(0.3)

    with redis.client() as client:
        assert client.zcard(doorbell.LISTENERS) == 0


def test_a_ring_after_an_idle_pass_queues_the_next(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    LastMoment(monkeypatch)
    passes.run()

    doorbell.ring()

    assert doorbell.mail_queue().count == 1


def test_a_ring_in_the_last_moment_is_heard(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = LastMoment(monkeypatch, ring=doorbell.ring)

    passes.run()

    assert moment.leaves == 2


def test_a_ring_of_this_machine_in_the_last_moment_is_heard(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []
    moment = LastMoment(monkeypatch, before=lambda: told.append(Bell().ring()))

    passes.run()

    assert (told, moment.leaves) == ([True], 2)
    assert Bell().ring() is False
