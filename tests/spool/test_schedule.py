"""When a message is tried again."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from spool.flow.retry import RetrySchedule, due_after, notice_is_due

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
SCHEDULE = RetrySchedule(tuple(timedelta(minutes=m) for m in (15, 30, 60, 90)), timedelta(days=4))


def test_each_attempt_waits_for_its_own_interval() -> None:
    now = CREATED + timedelta(hours=1)
    waits = [due_after(attempts, SCHEDULE, CREATED, now) for attempts in (1, 2, 3, 4)]
    assert waits == [now + timedelta(minutes=m) for m in (15, 30, 60, 90)]


def test_the_last_interval_repeats() -> None:
    now = CREATED + timedelta(hours=50)
    assert due_after(40, SCHEDULE, CREATED, now) == now + timedelta(minutes=90)


def test_the_last_attempt_is_made_at_the_end_of_the_lifetime() -> None:
    now = CREATED + timedelta(days=4) - timedelta(minutes=5)
    assert due_after(60, SCHEDULE, CREATED, now) == CREATED + timedelta(days=4)


def test_a_message_expires_when_its_lifetime_is_over() -> None:
    assert due_after(1, SCHEDULE, CREATED, CREATED + timedelta(days=4)) is None


def test_a_delay_notice_is_due_once_and_never_when_switched_off() -> None:
    late = CREATED + timedelta(hours=4)
    assert notice_is_due(CREATED, late, 4, already_sent=False)
    assert not notice_is_due(CREATED, late, 4, already_sent=True)
    assert not notice_is_due(CREATED, late, 0, already_sent=False)
    assert not notice_is_due(CREATED, late - timedelta(seconds=1), 4, already_sent=False)


@given(
    attempts=st.integers(1, 10_000),
    minutes=st.lists(st.floats(0.01, 10_080), min_size=1, max_size=20),
    age_seconds=st.floats(0, 40 * 86_400),
)
def test_an_attempt_is_always_later_than_now_and_never_after_the_end(
    attempts: int, minutes: list[float], age_seconds: float
) -> None:
    schedule = RetrySchedule(tuple(timedelta(minutes=m) for m in minutes), timedelta(days=5))
    now = CREATED + timedelta(seconds=age_seconds)
    due = due_after(attempts, schedule, CREATED, now)
    if due is None:
        assert now >= schedule.expires(CREATED)
    else:
        assert now < due <= schedule.expires(CREATED)
