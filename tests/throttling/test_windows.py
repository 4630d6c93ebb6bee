"""The counters on a real Redis: exact at the boundary, whole or not at all, and the truth again after FLUSHALL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import time
from typing import Any

import pytest
from limits import RateLimitItemPerHour
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from accounts.models import HourlyLimit, Metric, ThrottleAction
from base import redis_client
from tests.support.worker import on_test_database
from throttling.counting import windows
from throttling.counting.state import SECONDS, Window
from throttling.models import Passage
from throttling.subjects import Charge, Subject, SubjectKind

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis")]

ANN = Subject(SubjectKind.USER, "ann@here.test")
BEN = Subject(SubjectKind.USER, "ben@here.test")
HERE = Subject(SubjectKind.DOMAIN, "here.test")


def a_charge(
    subject: Subject = ANN, amount: int = 10, cost: int = 1, *, metric: Metric = Metric.MESSAGES, enforced: bool = True
) -> Charge:
    action = ThrottleAction.DELAY if enforced else ThrottleAction.NONE
    return Charge(subject, HourlyLimit(metric, amount, action), cost, enforced)


def used(subject: Subject = ANN, metric: Metric = Metric.MESSAGES) -> int:
    window = Window(subject, metric)
    return windows.look([window])[window].used


@pytest.mark.parametrize("metric", [Metric.MESSAGES, Metric.BANDWIDTH, Metric.RECIPIENTS])
def test_a_window_takes_exactly_its_limit(metric: Metric) -> None:
    counted = windows.count([[a_charge(metric=metric)] for _ in range(12)])
    assert [refused is None for refused in counted.refusals] == [True] * 10 + [False] * 2
    assert used(metric=metric) == 10


def test_bandwidth_is_counted_to_the_byte() -> None:
    hundred_gigabytes = 100 * 1024**3
    charges = [a_charge(amount=hundred_gigabytes, cost=hundred_gigabytes - 1, metric=Metric.BANDWIDTH)]
    assert windows.count([charges]).refusals == [None]
    one = a_charge(amount=hundred_gigabytes, cost=1, metric=Metric.BANDWIDTH)
    assert [refused is None for refused in windows.count([[one], [one]]).refusals] == [True, False]
    assert used(metric=Metric.BANDWIDTH) == hundred_gigabytes


def test_a_message_is_charged_to_all_its_windows_or_to_none() -> None:
    requests = [[a_charge(ANN, 100), a_charge(HERE, 2)] for _ in range(5)]
    counted = windows.count(requests)
    assert [refused and refused.subject for refused in counted.refusals] == [None, None, HERE, HERE, HERE]
    assert (used(ANN), used(HERE)) == (2, 2)


def test_one_that_is_refused_does_not_stop_others() -> None:
    counted = windows.count([[a_charge(ANN, 1)], [a_charge(ANN, 1)], [a_charge(BEN, 1)]])
    assert [refused is None for refused in counted.refusals] == [True, False, True]


def test_a_smaller_message_does_not_overtake_a_larger_one() -> None:
    counted = windows.count([[a_charge(cost=6)], [a_charge(cost=6)], [a_charge(cost=1)]])
    assert [refused is None for refused in counted.refusals] == [True, False, False]


def test_what_is_not_enforced_is_counted_beyond_the_limit() -> None:
    assert windows.count([[a_charge(enforced=False)] for _ in range(12)]).refusals == [None] * 12
    assert used() == 12


def test_it_counts_as_the_library_does() -> None:
    storage = RedisStorage("redis://", connection_pool=redis_client.redis().connection_pool, key_prefix=windows._PREFIX)
    limiter = SlidingWindowCounterRateLimiter(storage)
    item = RateLimitItemPerHour(10)
    ours = windows.count([[a_charge(cost=cost)] for cost in (3, 3, 3)]).refusals
    theirs = [limiter.hit(item, "theirs", cost=cost) for cost in (3, 3, 3)]
    assert [refused is None for refused in ours] == theirs
    previous, _, current, _ = storage.get_sliding_window(Window(ANN, Metric.MESSAGES).key, SECONDS)
    assert (previous, current) == (0, 9)


def test_a_batch_of_any_size_is_one_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [
        [a_charge(Subject(SubjectKind.USER, f"u{n}@here.test"), 100), a_charge(HERE, 10_000)] for n in range(100)
    ]
    windows.count(requests)
    client = redis_client.redis()
    asked: list[Any] = []
    original = type(client).execute_command

    def execute(self: Any, *arguments: Any, **options: Any) -> Any:
        asked.append(arguments[0])
        return original(self, *arguments, **options)

    monkeypatch.setattr(type(client), "execute_command", execute)
    windows.count(requests)
    assert asked == ["EVALSHA"]


def test_windows_are_filled_from_the_ledger_after_redis_was_emptied(redis: Any) -> None:
    now = int(time())
    Passage.objects.bulk_create(
        Passage(file_name=f"{n}.eml", at=now - n, sender=ANN.name, domain=HERE.name, recipients=2, size_bytes=100)
        for n in range(7)
    )
    with redis.client() as client:
        client.flushall()
    assert used() == 7
    assert used(metric=Metric.RECIPIENTS) == 14
    assert used(metric=Metric.BANDWIDTH) == 1400
    assert used(HERE) == 7
    counted = windows.count([[a_charge()] for _ in range(5)])
    assert [refused is None for refused in counted.refusals] == [True] * 3 + [False] * 2


def test_a_clock_that_is_set_back_neither_prolongs_a_window_nor_counts_more(redis: Any) -> None:
    """Redis keeps moments: for it, all that it has lasts three hours longer."""
    ahead = 3 * SECONDS
    Passage.objects.bulk_create(
        Passage(file_name=f"{n}.eml", at=int(time()) + ahead - n, sender=ANN.name, recipients=1, size_bytes=1)
        for n in range(10)
    )
    windows.count([[a_charge(amount=100)] for _ in range(10)])
    with redis.client() as client:
        for key in client.keys("mailspool:throttle:*"):
            client.pexpire(key, client.pttl(key) + ahead * 1000)
    state = windows.look([Window(ANN, Metric.MESSAGES)])[Window(ANN, Metric.MESSAGES)]
    assert state.used == 10
    assert state.current_seconds <= 2 * SECONDS
    counted = windows.count([[a_charge(amount=12)] for _ in range(4)])
    assert [refused is None for refused in counted.refusals] == [True] * 2 + [False] * 2


def test_what_is_cleared_begins_anew() -> None:
    windows.count([[a_charge()] for _ in range(10)])
    windows.clear(ANN)
    assert windows.count([[a_charge()]]).refusals == [None]


_COUNT_IN_ANOTHER_PROCESS = """
from accounts.models import HourlyLimit, Metric, ThrottleAction
from throttling.counting import windows
from throttling.subjects import Charge, Subject, SubjectKind
limit = HourlyLimit(Metric.MESSAGES, 100, ThrottleAction.DELAY)
charge = Charge(Subject(SubjectKind.USER, "ann@here.test"), limit, 1, True)
more = HourlyLimit(Metric.MESSAGES, 1000, ThrottleAction.DELAY)
here = Charge(Subject(SubjectKind.DOMAIN, "here.test"), more, 1, True)
print(sum(refused is None for _ in range(20) for refused in windows.count([[charge, here]] * 2).refusals))
"""


def test_eight_processes_together_take_exactly_the_limit() -> None:
    command, others = ["shell", "--verbosity", "0", "--command", _COUNT_IN_ANOTHER_PROCESS], on_test_database()
    with ThreadPoolExecutor(8) as together:
        taken = [int(done.stdout) for done in together.map(lambda _: others.run(command, 60), range(8))]
    assert sum(taken) == 100
    assert (used(), used(HERE)) == (100, 100)
