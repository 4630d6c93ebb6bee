"""What one message causes is its own: in a stage, and when its results can't be written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError

from spool.delivery.deliveries import Deliveries
from spool.delivery.remote.transport import Transport
from spool.dsn import notices
from spool.flow import outcomes, rounds
from spool.message.envelope import LeasedEntry
from spool.models import Entry, Trace
from spool.models.entry import Status
from spool.stages import Stage, StageContext, Verdict
from tests.spool.passing import ANN, FAR, Spool
from tests.support.messages import a_message

BOB, CARL = f"bob@{FAR}", f"carl@{FAR}"
POISON = "poison@elsewhere.test"


class Fragile(Stage):
    """Falls over a batch with a message of POISON in it, or over any while `away`."""

    status = Status.VIRUS_CHECK
    away = False
    batches: list[int]

    def wants(self, entry: LeasedEntry, context: StageContext) -> bool:
        return True

    async def run(self, batch: Sequence[LeasedEntry], context: StageContext) -> Mapping[int, Verdict]:
        self.batches.append(len(batch))
        if self.away:
            raise OperationalError("the server closed the connection")
        if any(entry.sender == POISON for entry in batch):
            raise ValueError("poison")
        return {}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> type[Fragile]:
    monkeypatch.setattr(Fragile, "batches", [], raising=False)
    monkeypatch.setattr(Fragile, "away", False)
    monkeypatch.setattr(django_settings, "SPOOL_STAGES", [f"{__name__}.Fragile", "spool.stages.Delivery"])
    return Fragile


def left_of_three(spool: Spool) -> Entry:
    """Takes the poison and two others, which go out; the entry of the poison, which stays."""
    for sender in (POISON, ANN, ANN):
        spool.take(sender=sender)
    spool.work()
    assert len(spool.peer.taken) == 2
    entry = Entry.objects.get()
    assert entry.sender == POISON
    return entry


def test_a_message_that_makes_a_stage_fail_holds_up_no_other_of_its_batch(spool: Spool, stage: type[Fragile]) -> None:
    # A pass begins with one, and learns then how many it may have.
    for sender in (ANN, ANN, POISON):
        spool.take(sender=sender)
    spool.work()
    assert stage.batches == [1, 2, 1, 1]
    assert len(spool.peer.taken) == 2
    assert Entry.objects.values_list("sender", "failures").get() == (POISON, 1)


def test_a_database_that_is_away_is_no_failure_of_a_message(spool: Spool, stage: type[Fragile]) -> None:
    stage.away = True
    name = spool.take()
    for _ in range(4):
        spool.work()
        entry = spool.entry(name)
        assert (entry.failures, entry.attempts, entry.hold) == (0, 0, False)
        spool.later(seconds=11)
    stage.away = False
    spool.work()
    assert len(spool.peer.taken) == 1


def test_failures_are_counted_anew_once_a_message_got_through_to_an_attempt(spool: Spool) -> None:
    spool.peer.rcpt = {BOB: "451 4.2.1 later"}
    name = spool.take()
    Entry.objects.update(failures=2, traceback="Traceback …")
    spool.work()
    entry = spool.entry(name)
    assert (entry.attempts, entry.failures, entry.traceback) == (1, 0, "")


def test_who_was_delivered_does_not_get_it_again_because_the_notice_about_others_fails(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> Any:
        raise ValueError("no notice can be made of this")

    spool.peer.rcpt = {CARL: "550 5.1.1 no such user"}
    name = spool.take([BOB, CARL])
    with monkeypatch.context() as patched:
        patched.setattr(outcomes, "notifications", fail)
        spool.work()
        assert Trace.objects.values_list("recipient", "outcome").get() == (BOB, "delivered")
        assert spool.entry(name).failures == 1
    spool.later(minutes=2)
    spool.work()
    assert [taken.recipients for taken in spool.peer.taken] == [(BOB,)]
    assert Trace.objects.get(recipient=CARL).outcome == "bounced"
    assert len(spool.mailbox()) == 1


def test_a_message_that_can_not_be_quoted_costs_its_sender_only_the_quotation(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose = notices.compose

    def fragile(report: Any, original: bytes | None) -> Any:
        if original is not None:
            raise LookupError("unknown encoding")
        return compose(report, original)

    monkeypatch.setattr(notices, "compose", fragile)
    spool.peer.rcpt = {BOB: "550 5.1.1 no such user"}
    spool.take(content=a_message(BOB, ANN))
    spool.work()
    [notice] = spool.mailbox()
    assert "no such user" in notice.as_string()
    assert not Entry.objects.exists()


def test_what_fails_after_local_delivery_is_that_message_s_alone(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    take_up = Deliveries._take_up

    def fragile(self: Deliveries, entry: LeasedEntry, outcome: Any) -> None:
        if entry.sender == POISON:
            raise LookupError("nobody thought of this")
        take_up(self, entry, outcome)

    monkeypatch.setattr(Deliveries, "_take_up", fragile)
    for sender in (POISON, BOB, CARL):
        spool.take_for_us(a_message(ANN, sender), sender=sender)
    spool.work()
    assert Entry.objects.values_list("sender", "failures").get() == (POISON, 1)
    assert len(spool.mailbox()) == 3, "it is in the mailbox, and its next delivery finds it there"
    monkeypatch.undo()
    spool.later(minutes=2)
    spool.work()
    assert not Entry.objects.exists()
    assert len(spool.mailbox()) == 3


def test_a_message_on_which_a_stage_fails_when_it_is_asked_holds_up_no_other(
    spool: Spool, stage: type[Fragile], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wants(self: Fragile, entry: LeasedEntry, context: StageContext) -> bool:
        if entry.sender == POISON:
            raise ValueError("poison")
        return True

    monkeypatch.setattr(Fragile, "wants", wants)
    assert left_of_three(spool).failures == 1


def test_a_message_that_can_not_be_handed_over_for_delivery_holds_up_no_other(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Transport.put

    def fragile(self: Transport, entry: LeasedEntry, *arguments: Any, **named: Any) -> int:
        if entry.sender == POISON:
            raise ValueError("nobody thought of this")
        return put(self, entry, *arguments, **named)

    monkeypatch.setattr(Transport, "put", fragile)
    entry = left_of_three(spool)
    assert entry.attempts == 1
    assert "nobody thought of this" in entry.last_error


def test_a_message_that_can_not_be_made_ready_holds_up_no_other(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite = rounds.rewrite_senders

    def fragile(entries: Sequence[LeasedEntry]) -> None:
        if any(entry.sender == POISON for entry in entries):
            raise LookupError("unknown encoding")
        rewrite(entries)

    monkeypatch.setattr(rounds, "rewrite_senders", fragile)
    assert left_of_three(spool).failures == 1


def test_what_fails_when_it_is_told_of_results_does_not_have_them_recorded_twice(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise ValueError("nobody thought of this")

    monkeypatch.setattr(outcomes, "_tell", fail)
    spool.take([BOB, CARL])
    spool.work()
    assert sorted(Trace.objects.values_list("recipient", "outcome")) == [(BOB, "delivered"), (CARL, "delivered")]
    assert not Entry.objects.exists()
    assert list(django_settings.HOME.spool.rglob("*.eml")) == []
