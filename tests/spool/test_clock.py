"""Somebody sets the machine's clock, ahead or back, while messages are on the wire, held by the dead, or wait."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from django.utils import timezone

from accounts.models import Role
from base import clock
from spool import tasks
from spool.actions import Actor, perform
from spool.flow import leases, passes
from spool.flow.lanes import Want
from spool.models import Entry
from spool.rows import statements
from tests.spool.passing import FAR, Spool
from tests.support.waiting import wait_until

ADMIN = Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR)


def begin(spool: Spool) -> threading.Thread:
    spool.peer.delay_seconds = 0.5
    worker = threading.Thread(target=passes.run)
    worker.start()
    wait_until(lambda: "DATA" in spool.peer.commands, "a message is on the wire", 20)
    return worker


def another_pass() -> None:
    """What another worker does meanwhile, in a process of its own as far as leases go."""
    from spool.flow.rounds import Rounds

    rounds = Rounds("other", [])
    here = rounds.visit([], [], [], Want(100, low=100))
    assert here.leased == []


def test_what_is_on_the_wire_is_not_sent_again_when_the_clock_is_set_ahead(spool: Spool) -> None:
    clock.steps()
    for n in range(4):
        spool.take(f"bob{n}@{FAR}")
    worker = begin(spool)
    spool.set_clock(days=2)
    another_pass()
    outcome = perform("delete", list(Entry.objects.values_list("id", flat=True)), ADMIN)
    assert outcome.job.busy == Entry.objects.exclude(leased_by="").count() > 0
    spool.peer.delay_seconds = 0.0
    worker.join(20)
    assert not worker.is_alive()
    recipients = [one.recipients for one in spool.peer.taken]
    assert len(recipients) == len(set(recipients))


def test_leases_of_the_dead_and_waiting_mail_are_mended_when_the_clock_is_set_back(spool: Spool) -> None:
    spool.peer.rcpt = {f"carl@{FAR}": "451 4.2.1 later"}
    tasks._mend_times()
    spool.set_clock(days=2)
    tasks._mend_times()
    waiting, dead = spool.take(f"carl@{FAR}"), spool.take(f"bob@{FAR}")
    with statements.write_transaction():
        leases.take("dead", timezone.now(), 100, straight=True, no_delay=True)
    Entry.objects.filter(file_name=waiting).update(leased_by="", due_at=timezone.now(), next_attempt=timezone.now())
    spool.later(seconds=60)
    spool.set_clock(days=-2)
    tasks._mend_times()
    now, soon = timezone.now(), timezone.now() + leases.LEASE
    assert spool.entry(waiting).due_at == spool.entry(waiting).next_attempt
    due, lapses = spool.entry(waiting).due_at, spool.entry(dead).due_at
    assert due is not None and due <= now
    assert lapses is not None and now < lapses <= soon
    spool.later(seconds=leases.LEASE.total_seconds() + 1)
    spool.peer.rcpt = {}
    spool.work()
    assert len(spool.peer.taken) == 2
    assert not Entry.objects.exists()


def test_a_process_that_starts_knows_of_a_step_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = clock.steady()
    monkeypatch.setattr(clock, "steady", lambda: real)
    clock.Steps(tmp_path / "clock").look()
    monkeypatch.setattr(clock, "steady", lambda: real - 100)
    started = clock.Steps(tmp_path / "clock")
    started.look()
    assert started.within(30)
    assert 99 < started.last[1] < 102
    (tmp_path / "clock").write_text("another-boot 12345\n")
    after_a_boot = clock.Steps(tmp_path / "clock")
    after_a_boot.look()
    assert not after_a_boot.within(30)
    (tmp_path / "clock").write_text("nonsense")
    clock.Steps(tmp_path / "clock").look()
