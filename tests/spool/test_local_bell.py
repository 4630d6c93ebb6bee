"""The bell within a machine: who rings learns whether a pass hears it, and each ring is one pass's."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from spool.flow import local_bell
from spool.flow.local_bell import Bell, Ear

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def bell() -> Iterator[Bell]:
    """One that keeps the pipe, and what nobody has read of it, no longer than its test."""
    one = Bell()
    yield one
    one.close()


async def _a_moment() -> None:
    for _ in range(5):
        await asyncio.sleep(0.01)


def test_nobody_is_told_where_nobody_ever_listened(bell: Bell) -> None:
    local_bell.path().unlink(missing_ok=True)
    assert bell.ring() is False


def test_a_ring_is_heard_by_one_of_all_who_listen(bell: Bell) -> None:
    async def rung() -> list[str]:
        heard: list[str] = []
        ears = [Ear(lambda name=name: heard.append(name)) for name in ("one", "other")]  # type: ignore[misc]
        for ear in ears:
            ear.open()
            ear.open()
        assert bell.ring() and bell.ring()
        await _a_moment()
        assert bell.ring()
        await _a_moment()
        assert [ear.close() for ear in ears] == [False, False]
        assert bell.ring() is False, "they are gone"
        return heard

    assert len(asyncio.run(rung())) == 2


def test_a_ring_that_came_too_late_is_not_lost_silently(bell: Bell) -> None:
    async def rung() -> None:
        ear = Ear(lambda: None)
        ear.open()
        assert bell.ring()
        assert ear.close() is True
        assert bell.ring() is False
        ear.open()
        assert bell.ring(), "the bell finds who listens again"
        assert ear.close() is True

    asyncio.run(rung())


def test_whoever_rings_notices_at_once_that_the_last_one_died(bell: Bell) -> None:
    async def rung() -> None:
        ear = Ear(lambda: None)
        ear.open()
        assert bell.ring()
        # As the kernel does for a process that was killed: nothing is read any more.
        asyncio.get_running_loop().remove_reader(ear._pipe)
        os.close(ear._pipe)
        assert bell.ring() is False

    asyncio.run(rung())


def test_who_is_stopped_does_not_keep_others_from_being_told(bell: Bell, monkeypatch: pytest.MonkeyPatch) -> None:
    async def rung() -> None:
        stopped = Ear(lambda: None)
        stopped.open()
        # Its loop does not turn.
        assert bell.ring() and bell.ring()
        monkeypatch.setattr(local_bell, "UNHEARD_SECONDS", 0.0)
        assert bell.ring() is False
        stopped.close()

    asyncio.run(rung())


def test_what_is_no_pipe_is_left_alone(bell: Bell, caplog: pytest.LogCaptureFixture) -> None:
    async def rung() -> None:
        ear = Ear(lambda: None)
        ear.open()
        ear.open()
        assert ear.close() is False

    local_bell.path().unlink(missing_ok=True)
    local_bell.path().write_text("mine")

    asyncio.run(rung())

    assert bell.ring() is False
    assert local_bell.path().read_text() == "mine"
    local_bell.path().unlink()
    assert len(caplog.records) == 1
