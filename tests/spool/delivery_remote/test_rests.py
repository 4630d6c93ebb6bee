"""Hosts that do not answer rest for all workers: what one learns, the others know, by the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from spool.delivery.remote import backoff, rests
from spool.models import RestingHost
from spool.rows import statements

HOST, OTHER = "192.0.2.1:25 opportunistic  ", "192.0.2.2:25 opportunistic  "


@pytest.fixture(autouse=True)
def _nothing_is_known(transactional_db: None) -> Iterator[None]:
    rests.forget()
    yield
    rests.forget()


def _write() -> None:
    write = rests.unwritten()
    if write is not None:
        with statements.relaxed_transaction():
            write()


def _another_worker() -> None:
    """From now on this process knows what another one does that has just begun."""
    _write()
    backoff.forget()
    rests.forget()
    rests.learn(rests.look())


def _look() -> None:
    rests._looked = float("-inf")
    rests.learn(rests.look())


def test_a_host_rests_in_every_worker_and_for_twice_as_long_the_next_time() -> None:
    backoff.begin(HOST, 60, "connection refused").note("far.test", "refused")
    _another_worker()
    rest = backoff.of(HOST)
    assert rest is not None and rest.running
    assert (rest.seconds, rest.reason, rest.domains) == (60, "connection refused", {"far.test"})
    assert (rest.ends - datetime.now(UTC)).total_seconds() == pytest.approx(60, abs=30)
    assert backoff.begin(HOST, 60, "connection refused").seconds == 120
    _another_worker()
    found = backoff.of(HOST)
    assert found is not None and found.seconds == 120
    assert found.domains == {"far.test"}


def test_a_host_that_answers_one_worker_rests_in_none() -> None:
    known = backoff.begin(HOST, 60, "connection refused")
    _write()
    _look()
    assert backoff.of(HOST) is known, "its own news are none"
    RestingHost.objects.update(seconds=0, until=timezone.now(), changed=timezone.now())
    _look()
    assert backoff.of(HOST) is None
    assert not known.running, "whoever waits for it tries again"


def test_what_was_written_before_a_host_answered_does_not_have_it_rest_again() -> None:
    backoff.begin(HOST, 60, "connection refused")
    _write()
    backoff.end(HOST)
    _look()
    assert backoff.of(HOST) is None
    _another_worker()
    assert backoff.of(HOST) is None


def test_two_workers_that_know_of_different_mail_keep_both(django_assert_num_queries: object) -> None:
    backoff.begin(HOST, 60, "connection refused").note("far.test", "refused")
    _write()
    backoff.forget()
    for name in (HOST, OTHER):
        backoff.begin(name, 60, "no answer in time").note("near.test", "no answer")
    # With BEGIN and COMMIT.
    with django_assert_num_queries(4):  # type: ignore[operator]
        write = rests.unwritten()
        assert write is not None
        write()
    row = RestingHost.objects.get(name=HOST)
    assert (row.domains, row.reason) == (["far.test", "near.test"], "no answer in time")
    assert rests.unwritten() is None


def test_a_rest_of_one_process_alone_is_nobody_elses() -> None:
    backoff.begin("far.test 25", 60, "it hung up", alone=True)
    assert rests.unwritten() is None


def test_old_rests_are_removed() -> None:
    backoff.begin(HOST, 60, "connection refused")
    _write()
    rests.forget_old(timezone.now() + timedelta(hours=1))
    assert RestingHost.objects.count() == 1
    rests.forget_old(timezone.now() + timedelta(days=2))
    assert RestingHost.objects.count() == 0
