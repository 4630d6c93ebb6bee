"""Which programs are alive, who shares limits, who has a duty, and when a machine is drained."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.db.models import F

from spool.models.machine import Duty, Machine, Program
from spool.monitoring import heartbeat, machines, programs
from spool.monitoring.heartbeat import Heart
from spool.monitoring.machines import MachineState
from spool.monitoring.names import machine
from spool.monitoring.programs import Known, Live
from tests.support.programs import a_program, all_programs
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("home", "redis")]


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_known", Known(Live(1, 1)))


def state_of(name: str) -> MachineState:
    found = machines.named(name)
    assert found is not None
    return found.state


def test_workers_share_limits_as_far_as_they_live_and_take_mail() -> None:
    assert programs.look().live == Live(1, 1)
    for number in (1, 2, 3):
        a_program("workers", number=number)
    a_program("workers", "mx2")
    a_program("maintenance", "mx2")
    assert programs.look().live == Live(3, 4)
    a_program("workers", ago_seconds=40)
    a_program("workers", number=2, drains=True, busy=1)
    a_program("workers", "mx2", drains=True)
    assert programs.look().live == Live(2, 2)


def test_a_heart_tells_what_its_program_does_and_learns_that_its_machine_drains() -> None:
    heart = Heart("workers", lambda: {"leases": 7}, lambda: 8)
    assert heart.beat() == heartbeat.BEAT_SECONDS
    assert not programs.is_draining()
    assert machines.drain(machine(), "root@example.org") and not machines.drain(machine(), "another")
    heart.beat()
    assert programs.is_draining()
    assert state_of(machine()) is MachineState.DRAINING
    heart.beat()
    [row] = programs.every()
    assert (row.drains, row.busy, row.shows["leases"]) == (True, 8, 7)
    machines.resume(machine())
    heart.beat()
    assert not programs.is_draining()
    heart.end()
    assert state_of(machine()) is MachineState.STOPPED


def test_a_drain_is_called_out_and_told_without_waiting_for_the_next_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 600.0)
    end = Heart("workers").start()
    wait_until(lambda: bool(programs.every()), "it lives")
    for ask, is_so in ((lambda: machines.drain(machine(), "root"), True), (lambda: machines.resume(machine()), False)):
        ask()
        wait_until(lambda is_so=is_so: [one.drains for one in programs.every()] == [is_so], "it says what it heard")
    end()


def test_a_heart_outlives_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    beats = threading.Event()

    def away(row: Program) -> None:
        beats.set()
        raise DatabaseError("away")

    monkeypatch.setattr(programs, "tell", away)
    monkeypatch.setattr(heartbeat, "AGAIN_SECONDS", 0.01)
    end = Heart("workers").start()
    assert beats.wait(20)
    beats.clear()
    assert beats.wait(20), "it tries again"
    monkeypatch.undo()
    end()


def test_a_machine_is_drained_when_all_its_programs_know_and_have_nothing_in_hand() -> None:
    all_programs("mx2")
    a_program("console", "mx2", busy=3)
    assert state_of("mx2") is MachineState.RUNNING
    machines.drain("mx2", "root@example.org")
    assert state_of("mx2") is MachineState.DRAINING
    all_programs("mx2", drains=True)
    assert state_of("mx2") is MachineState.DRAINED
    a_program("workers", "mx2", number=2, drains=True, busy=4, leases=3)
    found = machines.named("mx2")
    assert found is not None
    assert (found.state, found.left) == (MachineState.DRAINING, "3 messages in work")
    # Its leases have lapsed when it is missed.
    a_program("workers", "mx2", number=2, drains=True, busy=4, leases=3, ago_seconds=31)
    assert state_of("mx2") is MachineState.DRAINED
    all_programs("mx2", drains=True, ago_seconds=31)
    Program.objects.filter(kind="console").delete()
    assert state_of("mx2") is MachineState.MISSED


def test_what_programs_know_of_an_earlier_drain_does_not_count() -> None:
    all_programs("mx2")
    machines.drain("mx2", "root@example.org")
    all_programs("mx2", drains=True)
    assert state_of("mx2") is MachineState.DRAINED
    machines.resume("mx2")
    machines.drain("mx2", "root@example.org")
    assert state_of("mx2") is MachineState.DRAINING, "they have had no time to hear of it"
    all_programs("mx2", drains=True)
    assert state_of("mx2") is MachineState.DRAINED


def test_files_that_no_machine_that_takes_mail_has_stand_between_it_and_being_drained() -> None:
    all_programs("mx2")
    machines.drain("mx2", "root@example.org")
    all_programs("mx2", drains=True, home="a", files=12)
    all_programs("mx3", home="b")
    found = machines.named("mx2")
    assert found is not None
    assert (found.state, found.left) == (
        MachineState.DRAINING,
        "12 messages have their files on its disk alone",
    )
    all_programs("mx3", home="a")
    assert state_of("mx2") is MachineState.DRAINED


def test_a_duty_is_one_programs_until_it_leaves_it_or_is_silent() -> None:
    assert programs.take_duty("sweep", "a") and programs.take_duty("sweep", "a")
    assert not programs.take_duty("sweep", "b")
    Duty.objects.update(until=F("until") - programs.DUTY - timedelta(seconds=1))
    assert programs.take_duty("sweep", "b") and not programs.take_duty("sweep", "a")
    programs.leave_duty("sweep", "a")
    assert not programs.take_duty("sweep", "a")
    programs.leave_duty("sweep", "b")
    assert programs.take_duty("sweep", "a")


def test_programs_that_died_are_forgotten_when_they_have_a_successor_or_after_a_week() -> None:
    a_program("workers", "mx2", ago_seconds=60)
    a_program("workers", "mx2", number=2)
    a_program("scheduler", "mx2", ago_seconds=60)
    a_program("workers", "mx3", ago_seconds=8 * 86_400)
    programs.tidy()
    assert {(one.machine, one.kind, one.pid) for one in programs.every()} == {
        ("mx2", "workers", 2),
        ("mx2", "scheduler", 1),
    }
    assert Machine.objects.filter(name="mx3").exists()
