from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from base.short_cache import ShortCache


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Counter:
    """What is read: 1, 2, 3 and so on, or else what is to be raised; it may take a while."""

    def __init__(self) -> None:
        self.number = 0
        self.raises: Exception | None = None

    def __call__(self) -> int:
        if self.raises is not None:
            raise self.raises
        self.number += 1
        return self.number


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def test_a_value_is_read_again_when_its_time_is_over(clock: Clock) -> None:
    cache = ShortCache(1.0, Counter())
    assert cache.current() == cache.current() == 1
    clock.now += 0.99
    assert cache.is_fresh() and cache.current() == 1
    clock.now += 0.01
    assert not cache.is_fresh() and cache.current() == 2


def test_a_value_is_as_old_as_the_question(clock: Clock) -> None:
    counter = Counter()

    def slow() -> int:
        clock.now += 0.6
        return counter()

    cache = ShortCache(1.0, slow)
    assert cache.current() == 1
    clock.now += 0.4
    assert cache.current() == 2


def test_a_reading_that_takes_longer_than_its_value_is_good_is_answered_all_the_same(clock: Clock) -> None:
    counter = Counter()

    def slow() -> int:
        clock.now += 5.0
        return counter()

    cache = ShortCache(1.0, slow)
    assert cache.current() == 1
    assert cache.current() == 2


def test_a_failure_keeps_the_value_before_and_is_told_once_in_its_time(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    counter = Counter()
    cache = ShortCache(1.0, counter, outlasts=(OSError,), name="the numbers")
    assert cache.current() == 1
    clock.now += 1.0
    counter.raises = OSError("away")
    assert cache.current() == cache.current() == 1
    assert caplog.messages == ["the numbers could not be read, the old ones stay: away"]
    clock.now += 1.0
    counter.raises = None
    assert cache.current() == 2


def test_a_failure_is_the_callers_when_nothing_was_read_before(clock: Clock) -> None:
    counter = Counter()
    cache = ShortCache(1.0, counter, outlasts=(OSError,))
    counter.raises = OSError("away")
    with pytest.raises(OSError, match="away"):
        cache.current()
    counter.raises = None
    assert cache.current() == 1


def test_other_failures_are_the_callers_and_the_next_call_reads_again(clock: Clock) -> None:
    counter = Counter()
    cache = ShortCache(1.0, counter, outlasts=(OSError,))
    assert cache.current() == 1
    clock.now += 1.0
    counter.raises = ValueError("wrong")
    with pytest.raises(ValueError, match="wrong"):
        cache.current()
    assert cache.last == 1
    counter.raises = None
    assert cache.current() == 2


def test_renewing_raises_even_what_is_outlasted(clock: Clock) -> None:
    counter = Counter()
    cache = ShortCache(1.0, counter, outlasts=(OSError,))
    assert cache.renew() == 1
    assert cache.renew() == 2 == cache.current()
    counter.raises = OSError("away")
    with pytest.raises(OSError, match="away"):
        cache.renew()
    assert cache.current() == 2


def test_what_has_expired_is_still_the_last_and_what_is_forgotten_is_not() -> None:
    cache = ShortCache(60.0, Counter())
    assert cache.last is None and not cache.is_fresh()
    cache.current()
    cache.expire()
    assert cache.last == 1 and not cache.is_fresh()
    assert cache.current() == 2
    cache.forget()
    assert cache.last is None and not cache.is_fresh()
    assert cache.current() == 3


@pytest.mark.parametrize("way", ["expire", "forget"])
def test_what_was_asked_before_the_value_expired_is_not_what_one_gets_afterwards(way: str) -> None:
    counter = Counter()
    asked, changed = threading.Event(), threading.Event()

    def slow() -> int:
        number = counter()
        asked.set()
        assert changed.wait(10)
        return number

    cache = ShortCache(60.0, slow)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(cache.current)
        assert asked.wait(10)
        getattr(cache, way)()
        changed.set()
        assert reading.result(10) == 2
    assert cache.current() == 2


def _most_at_once(*, one_reader: bool) -> tuple[int, int]:
    """How many of four threads read at the same moment, and how often it was read."""
    lock = threading.Lock()
    inside = most = reads = 0

    def read() -> int:
        nonlocal inside, most, reads
        with lock:
            inside, reads = inside + 1, reads + 1
            most = max(most, inside)
        time.sleep(0.2)
        with lock:
            inside -= 1
        return reads

    cache = ShortCache(60.0, read, one_reader=one_reader)
    together = threading.Barrier(4)

    def ask() -> int:
        together.wait(10)
        return cache.current()

    with ThreadPoolExecutor(4) as pool:
        for answer in [pool.submit(ask) for _ in range(4)]:
            assert answer.result(10) >= 1
    return most, reads


def test_with_one_reader_the_others_wait_for_its_value() -> None:
    assert _most_at_once(one_reader=True) == (1, 1)


def test_without_one_nobody_waits_for_anybody() -> None:
    most, reads = _most_at_once(one_reader=False)
    assert most > 1 and reads > 1


def test_a_failure_lets_the_next_reader_read() -> None:
    counter = Counter()
    counter.raises = ValueError("wrong")
    cache = ShortCache(60.0, counter, one_reader=True)
    for _ in range(2):
        with pytest.raises(ValueError, match="wrong"):
            cache.current()
    counter.raises = None
    assert cache.current() == 1
