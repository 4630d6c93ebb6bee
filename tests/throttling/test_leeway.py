"""What a process lets through before it is counted: little, for a moment, and never near a limit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from accounts.models import HourlyLimit, Metric, ThrottleAction
from throttling.counting import allowance
from throttling.counting.allowance import COUNTED_WITHIN_SECONDS, KNOWN_SECONDS, SHARE, Leeway, can_be_owed
from throttling.counting.state import Window
from throttling.subjects import Charge, Subject, SubjectKind

ANN = Subject(SubjectKind.USER, "ann@example.org")
HERE = Subject(SubjectKind.DOMAIN, "example.org")


def a_charge(subject: Subject = ANN, cost: int = 1, metric: Metric = Metric.MESSAGES) -> Charge:
    return Charge(subject, HourlyLimit(metric, 1_000_000, ThrottleAction.REJECT), cost, True)


def of(charge: Charge) -> Window:
    return Window(charge.subject, charge.limit.metric)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [1000.0]
    monkeypatch.setattr(allowance.time, "monotonic", lambda: now[0])
    yield now


def test_nothing_goes_before_anything_was_heard(clock: list[float]) -> None:
    here = Leeway()
    assert not here.lets([a_charge()])
    assert here.settle() == ()


def test_a_share_of_the_room_goes_and_is_owed_as_one_charge_that_nothing_can_refuse(clock: list[float]) -> None:
    here, charge = Leeway(), a_charge()
    here.heard({of(charge): 3 * SHARE})
    assert [here.lets([charge]) for _ in range(4)] == [True, True, True, False]
    assert here.settle() == (charge._replace(cost=3, enforced=False),)
    assert here.settle() == ()


def test_what_is_on_its_way_to_be_counted_takes_up_room_until_it_is_heard_of(clock: list[float]) -> None:
    here, charge = Leeway(), a_charge()
    here.heard({of(charge): 2 * SHARE})
    assert here.lets([charge])
    here.settle()
    assert here.lets([charge])
    assert not here.lets([charge])
    here.heard({of(charge): 2 * SHARE})
    assert here.lets([charge])
    assert not here.lets([charge]), "what is still owed is not forgotten"


def test_nothing_goes_while_a_question_is_on_its_way_that_may_take_all_the_room(clock: list[float]) -> None:
    here, charge = Leeway(), a_charge()
    here.heard({of(charge): 3 * SHARE})
    with here.asking():
        assert not here.lets([charge])
        with pytest.raises(OSError, match="away"), here.asking():
            raise OSError("away")
        assert not here.lets([charge])
    assert here.lets([charge])


def test_with_less_room_than_there_may_be_processes_redis_is_asked(clock: list[float]) -> None:
    here, charge = Leeway(), a_charge()
    here.heard({of(charge): SHARE - 1})
    assert not here.lets([charge])
    here.heard({of(charge): SHARE})
    assert here.lets([charge])


def test_one_limit_that_is_near_keeps_the_message_from_all_of_them(clock: list[float]) -> None:
    here, user, domain = Leeway(), a_charge(), a_charge(HERE)
    here.heard({of(user): 100 * SHARE, of(domain): 0})
    assert not here.lets([user, domain])
    assert here.settle() == ()


def test_what_was_heard_is_soon_out_of_date(clock: list[float]) -> None:
    here, charge = Leeway(), a_charge()
    here.heard({of(charge): 100 * SHARE})
    clock[0] += KNOWN_SECONDS
    assert here.lets([charge])
    clock[0] += 0.001
    assert not here.lets([charge])
    assert COUNTED_WITHIN_SECONDS < KNOWN_SECONDS


def test_bounces_are_in_no_window(clock: list[float]) -> None:
    assert can_be_owed([a_charge()])
    assert not can_be_owed([a_charge(), a_charge(metric=Metric.BOUNCES)])


def test_what_it_knows_is_bounded_but_what_is_owed_stays(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "_MOST_KEPT", 2)
    here, charge = Leeway(), a_charge()
    here.heard({of(charge): 100 * SHARE})
    assert here.lets([charge])
    for n in range(5):
        here.heard({of(a_charge(Subject(SubjectKind.USER, f"u{n}@example.org"))): 1})
    assert here.settle() == (charge._replace(cost=1, enforced=False),)
    assert len(here._windows) <= 4
