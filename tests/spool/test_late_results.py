"""Results of a pass that no longer holds the entry: each recipient still has one outcome, and one trace of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from spool.actions import Actor, perform, undo
from spool.files import store
from spool.flow import intake, leases, outcomes
from spool.message.envelope import AttemptRecord, DeliveryReport, LeasedEntry, RecipientResult
from spool.models import Attempt, Entry, Recipient, Settings, Trace
from spool.models.recipient import Outcome
from spool.rows import statements
from tests.support.messages import a_submission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

BOB, EVE = "bob@example.net", "eve@example.net"


def take(owner: str) -> LeasedEntry:
    """Lease the one entry; the lease of whoever had it has lapsed."""
    Entry.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    with statements.write_transaction():
        [entry] = leases.take(owner, timezone.now(), 1, straight=True, no_delay=True)
    return entry


def record(owner: str, entry: LeasedEntry, **by_name: Outcome) -> None:
    """`bob=Outcome.DELIVERED` and so on, with one attempt."""
    results = [
        RecipientResult(recipient, by_name[recipient.address.partition("@")[0]], "250 ok")
        for recipient in entry.recipients
    ]
    attempt = AttemptRecord(timezone.now(), (BOB, EVE), "mx", "192.0.2.1", "", 250, "250 ok", 0.1)
    report = DeliveryReport(entry, results, [attempt])
    outcomes.record(owner, [report], store.Writer(), Settings.load(), timezone.now())


def traces() -> list[tuple[str, str]]:
    return sorted(Trace.objects.values_list("recipient", "outcome"))


def test_who_was_delivered_late_is_not_tried_again_and_traced_once() -> None:
    intake.accept([a_submission(to=[BOB, EVE])])
    slow = take("slow")
    next_holder = take("next")
    record("slow", slow, bob=Outcome.DELIVERED, eve=Outcome.PENDING)
    assert traces() == [(BOB, "delivered")]
    record("next", next_holder, bob=Outcome.PENDING, eve=Outcome.PENDING)
    assert [r.address for r in take("third").recipients] == [EVE]
    assert Entry.objects.get().recipients_done == 1


def test_two_who_delivered_leave_one_trace_for_each_recipient() -> None:
    intake.accept([a_submission(to=[BOB, EVE])])
    slow = take("slow")
    next_holder = take("next")
    record("slow", slow, bob=Outcome.DELIVERED, eve=Outcome.DELIVERED)
    record("next", next_holder, bob=Outcome.DELIVERED, eve=Outcome.DELIVERED)
    assert traces() == [(BOB, "delivered"), (EVE, "delivered")]
    assert not Entry.objects.exists()
    assert not Recipient.objects.exists()
    assert not slow.path.exists()


def test_a_late_failure_changes_nothing_and_sends_no_notice() -> None:
    intake.accept([a_submission(to=[BOB, EVE])])
    slow = take("slow")
    take("next")
    record("slow", slow, bob=Outcome.BOUNCED, eve=Outcome.BOUNCED)
    assert traces() == []
    assert Entry.objects.count() == 1
    assert [r.address for r in take("third").recipients] == [BOB, EVE]


def test_an_entry_whose_recipients_all_ended_late_ends_at_the_next_pass() -> None:
    intake.accept([a_submission(to=[BOB])])
    slow = take("slow")
    take("killed")
    record("slow", slow, bob=Outcome.DELIVERED)
    last = take("last")
    assert last.recipients == []
    record("last", last)
    assert traces() == [(BOB, "delivered")]
    assert not Entry.objects.exists()
    assert not last.path.exists()


def test_results_that_are_recorded_again_after_a_lost_answer_are_there_once() -> None:
    intake.accept([a_submission(to=[BOB, EVE])])
    entry = take("one")
    content = entry.read()
    attempt = AttemptRecord(timezone.now(), (BOB, EVE), "mx", "192.0.2.1", "", 250, "250 ok", 0.1)
    results = [RecipientResult(recipient, Outcome.DELIVERED, "250 ok") for recipient in entry.recipients]
    for _ in range(2):
        # As the first time: the answer to its commit did not come, and the file was not removed.
        entry.path.write_bytes(content)
        report = DeliveryReport(entry, results, [attempt])
        outcomes.record("one", [report], store.Writer(), Settings.load(), timezone.now())
    assert traces() == [(BOB, "delivered"), (EVE, "delivered")]
    assert Attempt.objects.count() == 1
    assert not entry.path.exists()


def test_who_was_delivered_after_the_message_was_deleted_does_not_get_it_again_by_undo(admin: Actor) -> None:
    intake.accept([a_submission(to=[BOB, EVE])])
    slow = take("slow")
    Entry.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    event = perform("delete", [slow.id], admin).event
    record("slow", slow, bob=Outcome.DELIVERED, eve=Outcome.PENDING)
    assert traces() == [(BOB, "delivered")]
    assert slow.path.exists()
    undo(admin, event_id=event.id)
    assert Entry.objects.get().recipients_done == 1
    assert [r.address for r in take("next").recipients] == [EVE]
