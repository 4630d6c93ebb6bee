"""The arithmetic of windows agrees with what Redis counts, and says right when there is room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throttling.counting.replay import replay, seconds_until
from throttling.counting.state import EMPTY, SECONDS, State

AMOUNTS = st.integers(1, 50)
STEPS = st.lists(st.tuples(st.floats(0, 2.5 * SECONDS), AMOUNTS), max_size=30)


def test_a_window_that_nothing_was_counted_on_is_empty() -> None:
    assert replay([], 1000.0) == EMPTY
    assert EMPTY.used == 0


def test_what_was_counted_within_the_hour_counts_in_full() -> None:
    assert replay([(0.0, 3), (1800.0, 4)], 3599.0).used == 7


def test_the_hour_before_fades_while_the_current_one_lasts() -> None:
    counted = [(0.0, 100)]
    assert [replay(counted, moment).used for moment in (3600.0, 5400.0, 7199.0, 7200.0)] == [100, 50, 0, 0]


@given(STEPS, st.floats(0, 3 * SECONDS))
def test_a_window_never_has_more_than_was_counted_in_two_hours_nor_less_than_in_its_current_one(
    steps: list[tuple[float, int]], wait: float
) -> None:
    moment, counted = 0.0, []
    for step, amount in steps:
        moment += step
        counted.append((moment, amount))
    now = moment + wait
    state = replay(counted, now)
    assert state.current <= state.used
    assert state.used <= sum(amount for at, amount in counted if at > now - 2 * SECONDS)
    assert 0 <= state.previous_seconds <= SECONDS + 1e-6


@given(STEPS, st.integers(1, 60), AMOUNTS)
def test_there_is_room_when_it_was_said_that_there_would_be_and_not_a_second_earlier(
    steps: list[tuple[float, int]], limit: int, needed: int
) -> None:
    needed = min(needed, limit)
    moment, counted = 0.0, []
    for step, amount in steps:
        moment += step
        counted.append((moment, amount))
    wait = seconds_until(replay(counted, moment), limit, needed)
    assert replay(counted, moment + wait + 0.001).used + needed <= limit
    if wait > 1:
        assert replay(counted, moment + wait - 1).used + needed > limit


@pytest.mark.parametrize(("needed", "seconds"), [(1, 3600), (50, 5364), (100, 7164), (101, 7200), (250, 12564)])
def test_a_queue_goes_at_the_rate_of_the_limit(needed: int, seconds: int) -> None:
    full = State(0, 0.0, 100, 2.0 * SECONDS)
    assert seconds_until(full, 100, needed) == pytest.approx(seconds, abs=1)
