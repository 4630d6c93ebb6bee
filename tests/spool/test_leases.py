"""One holder each: entries under lease."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from base import clock as steady_clock
from spool.flow import intake, leases
from spool.flow.lanes import Want
from spool.flow.rounds import Rounds
from spool.message.envelope import LeasedEntry
from spool.models import Entry, Kind, Priority, Status
from spool.rows import entries, lease, statements
from tests.support.messages import a_submission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]


def take(owner: str, limit: int = 100, *, straight: bool = True, no_delay: bool = True) -> list[LeasedEntry]:
    with statements.write_transaction():
        return leases.take(owner, timezone.now(), limit, straight=straight, no_delay=no_delay)


def test_a_lease_brings_the_entry_with_its_open_recipients() -> None:
    intake.accept([a_submission(to=["bob@example.net", "eve@example.net"])])
    [entry] = take("one")
    assert [r.address for r in entry.recipients] == ["bob@example.net", "eve@example.net"]
    assert entry.read().endswith(b"noon?\r\n")
    assert entry.status == Status.REMOTE_DELIVERY


def test_a_leased_entry_is_nobody_elses() -> None:
    intake.accept([a_submission()])
    assert take("one")
    assert not take("two")


def test_a_lapsed_lease_goes_to_the_next_worker_and_the_first_can_end_nothing_any_more() -> None:
    intake.accept([a_submission()])
    [entry] = take("one")
    Entry.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert [e.id for e in take("two")] == [entry.id]
    with statements.write_transaction():
        assert entries.remove_finished("one", [entry.id]) == {}
        assert entries.remove_finished("two", [entry.id]) == {entry.id: 0}


def test_a_renewed_lease_lasts_and_a_returned_one_is_free_at_once() -> None:
    intake.accept([a_submission()])
    [entry] = take("one")
    Entry.objects.update(due_at=timezone.now() + timedelta(seconds=1))
    leases.renew("one", [entry])
    due = Entry.objects.get().due_at
    assert due is not None and due > timezone.now() + timedelta(seconds=20)
    leases.give_back("two", [entry.id], timezone.now())
    assert not take("three")
    leases.give_back("one", [entry.id], timezone.now())
    assert take("three")


def test_high_priority_goes_first_then_the_oldest() -> None:
    names = intake.accept(
        [
            a_submission(subject="1", priority=Priority.LOW),
            a_submission(subject="2"),
            a_submission(subject="3", priority=Priority.HIGH),
            a_submission(subject="4"),
        ]
    )
    assert [e.file_name for e in take("one", 2)] == [names[2], names[1]]
    assert [e.file_name for e in take("one", 9)] == [names[3], names[0]]


def test_an_entry_on_hold_is_not_taken_even_when_its_lease_is_returned() -> None:
    intake.accept([a_submission()])
    [entry] = take("one")
    Entry.objects.update(hold=True)
    leases.give_back("one", [entry.id], timezone.now())
    assert not take("two")


def test_a_retry_keeps_its_status_while_a_delay_stands_before_it() -> None:
    intake.accept([a_submission(), a_submission(to="ann@example.org", kind=Kind.LOCAL)])
    Entry.objects.update(status=Status.WAITING)
    assert {e.status for e in take("one", no_delay=False)} == {Status.WAITING}
    Entry.objects.update(due_at=timezone.now())
    assert {e.status for e in take("two")} == {Status.LOCAL_DELIVERY, Status.REMOTE_DELIVERY}


def test_what_is_given_back_waits_or_has_not_been_tried_yet() -> None:
    intake.accept([a_submission(), a_submission(to="ann@example.org", kind=Kind.LOCAL), a_submission()])
    tried = Entry.objects.order_by("id")[2]
    Entry.objects.filter(id=tried.id).update(status=Status.WAITING, attempts=2)
    entries = take("one")
    assert {entry.status for entry in entries} == {Status.LOCAL_DELIVERY, Status.REMOTE_DELIVERY}
    leases.give_back("one", [entry.id for entry in entries], timezone.now())
    assert Entry.objects.get(id=tried.id).status == Status.WAITING
    assert {e.status for e in Entry.objects.exclude(id=tried.id)} == {Status.DELIVERY_DELAY}
    assert len(take("two")) == 3


def test_workers_side_by_side_take_each_entry_once() -> None:
    intake.accept([a_submission() for _ in range(200)])
    taken: list[int] = []

    def work(owner: str) -> None:
        while entries := take(owner, 7):
            taken.extend(entry.id for entry in entries)
        connection.close()

    threads = [threading.Thread(target=work, args=(f"worker-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 200
    assert len(set(taken)) == 200


def test_the_earliest_due_time_is_known() -> None:
    assert lease.earliest_due() is None
    intake.accept([a_submission()])
    assert lease.earliest_due() == Entry.objects.get().due_at


@pytest.mark.sqlite
def test_a_lease_begins_when_the_worker_has_got_its_turn_not_when_it_began_to_wait() -> None:
    intake.accept([a_submission()])
    taken, released = threading.Event(), []

    def writes_for_long() -> None:
        with statements.write_transaction():
            taken.set()
            time.sleep(1)
            released.append(timezone.now())
        connection.close()

    writer = threading.Thread(target=writes_for_long)
    writer.start()
    assert taken.wait(10)
    rounds = Rounds("one", [])
    here = rounds.visit([], [], [], Want(10, low=10))
    writer.join(10)
    rounds.close()
    assert len(here.leased) == 1
    due = Entry.objects.get().due_at
    assert due is not None and due >= released[0] + leases.LEASE


def test_a_worker_that_sleeps_while_it_takes_a_lease_leaves_the_entry_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    intake.accept([a_submission()])
    take_leases = leases.take

    def sleeping(*arguments: Any, **options: Any) -> list[LeasedEntry]:
        leased = take_leases(*arguments, **options)
        clock.shift(leases.LEASE + timedelta(seconds=3))
        return leased

    with time_machine.travel(timezone.now()) as clock:
        with monkeypatch.context() as patched:
            patched.setattr(leases, "take", sleeping)
            # While a machine sleeps both clocks go on.
            patched.setattr(steady_clock, "steady", time.time)
            rounds = Rounds("sleeper", [])
            assert rounds.visit([], [], [], Want(10, low=10)).leased == []
            rounds.close()
        assert Entry.objects.get().leased_by == ""
        assert len(take("other")) == 1
