from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from base.expiring import ExpiringDict, ExpiringSet

Passes = Callable[[float], None]


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    """Lets time go by."""
    now = 100.0

    def go_on(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now)
    return go_on


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_an_answer_is_good_for_its_time(passes: Passes) -> None:
    answers: ExpiringDict[str, int] = ExpiringDict(10.0)
    assert answers.get("a") is None
    assert answers.keep("a", 1) == 1
    assert answers.keep("b", 2, 2.0) == 2
    passes(1.9)
    assert (answers.get("a"), answers.get("b")) == (1, 2)
    passes(0.1)
    assert (answers.get("a"), answers.get("b")) == (1, None)
    passes(8.0)
    assert answers.get("a") is None


def test_of_too_many_the_oldest_goes() -> None:
    answers: ExpiringDict[str, int] = ExpiringDict(10.0, most=2)
    for key in "abac":
        answers.keep(key, 0)
    assert answers.get("b") is None
    assert (answers.get("a"), answers.get("c")) == (0, 0)
    assert len(answers) == 2


def test_nothing_is_left_after_clearing() -> None:
    answers: ExpiringDict[str, int] = ExpiringDict(10.0)
    answers.keep("a", 1)
    answers.clear()
    assert answers.get("a") is None and not answers


@pytest.mark.usefixtures("hasty")
def test_threads_that_keep_at_once_keep_no_more_than_that_many() -> None:
    answers: ExpiringDict[int, int] = ExpiringDict(10.0, most=50)

    def keep(first: int) -> None:
        for number in range(first, first + 5000):
            assert answers.keep(number, number) == number

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(keep, first * 3000) for first in range(4)]:
            done.result(60)
    assert len(answers) == 50


def test_a_member_fades(passes: Passes) -> None:
    members: ExpiringSet[str] = ExpiringSet(2.0)
    members.add("a")
    assert "a" in members and "b" not in members
    passes(1.0)
    members.add("b")
    passes(1.0)
    assert "a" not in members and "b" in members
    members.clear()
    assert "b" not in members


def test_what_is_asked_about_is_new_once_in_its_time(passes: Passes) -> None:
    members: ExpiringSet[str] = ExpiringSet(2.0)
    assert members.is_new("a") and not members.is_new("a")
    passes(1.0)
    # A question makes it no younger.
    assert not members.is_new("a")
    passes(1.0)
    assert members.is_new("a")
