"""How a receiver's limit is found, held and left behind: decisions alone, against a receiver that is simulated."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from spool.delivery.shaping import pace
from spool.delivery.shaping.pace import NOTHING, Pace, Timing

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_the_first_refusal_halves_what_was_taken() -> None:
    slowed = pace.slowed(NOTHING, 100, NOW)
    assert slowed.rate == 50
    assert slowed.paused_until == after(1)


def test_the_slowest_is_one_message_a_minute() -> None:
    slowed = pace.slowed(NOTHING, 1, NOW)
    for number in range(1, 5):
        slowed = pace.slowed(slowed, 1, after(100 * number))
    assert slowed.rate == 1


def test_what_was_on_its_way_at_a_refusal_counts_once() -> None:
    slowed = pace.slowed(NOTHING, 100, NOW)
    assert pace.slowed(slowed, 100, after(0.5)) == slowed


def test_refusals_without_a_success_between_lengthen_the_pause_and_leave_the_rate() -> None:
    slowed = pace.slowed(NOTHING, 100, NOW)
    lengths, now = [], NOW
    for _ in range(8):
        assert slowed.paused_until is not None
        now = slowed.paused_until
        slowed = pace.slowed(slowed, 0, now, again=True)
        lengths.append((slowed.paused_until - now).total_seconds())
    assert slowed.rate == 50
    assert lengths == [2, 4, 8, 16, 32, 60, 60, 60]


def test_a_rate_is_raised_once_a_cohort_whoever_says_so() -> None:
    slowed = Pace(rate=50, ceiling=95, rate_changed=NOW)
    raised = pace.sped_up(slowed, after(10))
    assert raised.rate == pytest.approx(55)
    assert pace.sped_up(raised, after(12)) == raised


def test_a_higher_rate_that_is_refused_goes_back_to_what_was_taken() -> None:
    tried = Pace(rate=66, ceiling=60, streak=1, rate_changed=NOW)
    slowed = pace.slowed(tried, 60, after(10))
    assert slowed.rate == pytest.approx(57)
    # When it took far less than it was let, it is halved; and when refusals follow one another.
    assert pace.slowed(slowed, 20, after(100)).rate == pytest.approx(28.5)
    for number in range(pace.MOST_PAUSES):
        before, slowed = slowed.rate, pace.slowed(slowed, 60, after(20 + 10 * number))
    assert before is not None
    assert slowed.rate == pytest.approx(before / 2)


def test_our_address_is_suspended_for_one_two_and_four_hours() -> None:
    now, hours = NOW, []
    found = NOTHING
    for _ in range(4):
        found = pace.suspended(found, 40, now)
        assert found.suspended_until is not None
        hours.append((found.suspended_until - now).total_seconds() / 3600)
        assert pace.suspended(found, 40, now + timedelta(minutes=1)) == found
        now = found.suspended_until
    assert hours == [1, 2, 4, 4]
    back = pace.sped_up(found, now)
    assert (back.suspensions, back.suspended_until) == (0, None)


def test_connections_become_one_less_and_one_more_after_a_while() -> None:
    found = pace.narrowed(NOTHING, 8, NOW)
    assert found.connections == 7
    assert pace.narrowed(found, 8, after(0.5)) == found
    assert pace.narrowed(found, 7, after(5)).connections == 6
    assert pace.narrowed(NOTHING, 1, NOW).connections == 1
    assert pace.widened(found, after(200)) == found
    assert pace.widened(found, after(300)).connections == 8


def test_what_was_learned_lapses_when_nothing_was_refused_for_a_day() -> None:
    found = replace(pace.slowed(NOTHING, 100, NOW), connections=3)
    assert pace.without_lapsed(found, after(23 * 3600)) == found
    assert pace.without_lapsed(found, after(25 * 3600)) == NOTHING


@dataclass
class Receiver:
    """Takes `limit` messages in any `window` seconds; simulated, with one sender whose mail never ends."""

    limit: float
    window: float = 60.0
    taken: int = 0

    def __post_init__(self) -> None:
        self.refused: list[float] = []
        self._when: deque[float] = deque()

    def takes(self, at: float) -> bool:
        while self._when and self._when[0] <= at - self.window:
            self._when.popleft()
        if len(self._when) < self.limit:
            self._when.append(at)
            self.taken += 1
            return True
        self.refused.append(at)
        return False

    @property
    def last_minute(self) -> int:
        return len(self._when)


def _send(receiver: Receiver, until: float, change: Callable[[float], None] = lambda at: None) -> list[float]:
    """Send as the limits say; when each message was taken. 50 a second without limits, over 20 connections."""
    found, at, cohort, timing = NOTHING, 0.0, 0.0, Timing()
    taken: list[float] = []
    again = clean = False
    while at < until:
        change(at)
        now = after(at)
        if found.paused_until is not None and now < found.paused_until:
            at = (found.paused_until - NOW).total_seconds()
            continue
        if receiver.takes(at):
            taken.append(at)
            again = False
        else:
            found = pace.slowed(found, receiver.last_minute, now, timing, again=again)
            again, clean, cohort = True, False, at
        if at - cohort >= timing.cohort:
            found = pace.sped_up(found, now, timing) if clean else found
            cohort, clean = at, True
        at += 60 / found.rate if found.rate is not None else 0.02
    return taken


@pytest.mark.parametrize("limit", [30, 60, 600, 3000])
def test_nine_tenths_of_a_receivers_limit_are_reached_with_few_refusals(limit: int) -> None:
    receiver = Receiver(limit)
    taken = _send(receiver, 1800)
    reached = sum(at >= 300 for at in taken) / (limit * 25)
    assert reached >= 0.9
    assert sum(at >= 300 for at in receiver.refused) < 0.02 * sum(at >= 300 for at in taken)
    assert len(receiver.refused) < 0.03 * receiver.taken


def test_ten_times_the_room_is_found_within_five_minutes() -> None:
    receiver = Receiver(60)

    def change(at: float) -> None:
        receiver.limit = 60 if at < 1000 else 600

    taken = _send(receiver, 1420, change)
    assert sum(1300 <= at < 1420 for at in taken) >= 0.9 * 1200
