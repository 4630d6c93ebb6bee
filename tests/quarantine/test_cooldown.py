"""How long an engine that does not answer is left out."""

from __future__ import annotations

import pytest

from quarantine.engines import cooldown
from quarantine.engines.cooldown import Cooldown


class Clock:
    """Seconds that pass when a test says so."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(cooldown, "time", clock)
    return clock


def rest_of(rests: Cooldown, clock: Clock) -> float:
    """How long it rests from now on, in seconds; the clock is moved to the end of the rest."""
    began = clock.now
    while rests.resting("clamd"):
        clock.now += 1
    return clock.now - began


def test_each_failure_after_a_rest_doubles_the_next_one_up_to_five_minutes(clock: Clock) -> None:
    rests, seen = Cooldown(first_seconds=5), []
    for _ in range(9):
        rests.failed("clamd", "gone")
        seen.append(rest_of(rests, clock))
    assert seen == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_a_wish_ends_the_rest_now_and_then(clock: Clock) -> None:
    rests = Cooldown(first_seconds=60)
    rests.failed("clamd", "gone")
    rests.wake()
    assert not rests.resting("clamd")
    rests.failed("clamd", "gone")
    clock.now += 1
    rests.wake()
    assert rests.resting("clamd"), "the last wish was a second ago"
    assert rest_of(rests, clock) == 119


def test_what_fails_together_is_one_failure(clock: Clock) -> None:
    rests = Cooldown(first_seconds=5)
    for _ in range(50):
        rests.failed("clamd", "gone")
    assert rest_of(rests, clock) == 5


def test_an_answer_ends_the_row_of_failures(clock: Clock) -> None:
    rests = Cooldown(first_seconds=5)
    for _ in range(3):
        rests.failed("clamd", "gone")
        rest_of(rests, clock)
    rests.answered("clamd")
    rests.failed("clamd", "gone")
    assert rest_of(rests, clock) == 5


def test_some_failures_in_a_row_may_be_allowed(clock: Clock) -> None:
    rests = Cooldown(first_seconds=30, allowed=5)
    for _ in range(4):
        rests.failed("clamd", "gone")
        assert not rests.resting("clamd")
    rests.failed("clamd", "gone")
    assert rest_of(rests, clock) == 30
