"""Actions and real passes: what is redirected, forced, copied, undone or deleted is delivered as it should be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.utils import timezone

from spool.actions import Actor, Refused, jobs, perform, preview, undo
from spool.delivery.replies import WAITS_FOR_HOST
from spool.files import store
from spool.files.store import path_of
from spool.filters import SpoolFilter
from spool.flow import leases, outcomes
from spool.message.envelope import DeliveryReport, LeasedEntry, RecipientResult
from spool.models import BulkJob, Entry, JobState, Outcome, Priority, Recipient, Status, Trace
from spool.models.settings import current
from spool.rows import statements
from tests.spool.passing import ANN, FAR, Spool
from tests.support.ports import free_port
from tests.support.smtp_peer import SmtpPeer

ALL = SpoolFilter()


@pytest.fixture
def other() -> Iterator[SmtpPeer]:
    """Another host, which the DNS does not name."""
    with SmtpPeer() as peer:
        yield peer


def test_a_next_hop_of_its_own_takes_an_entry_past_its_route(spool: Spool, admin: Actor, other: SmtpPeer) -> None:
    spool.peer.on["MAIL"] = "451 4.3.0 not now"
    name = spool.take()
    spool.work()
    assert spool.entry(name).status == Status.WAITING
    hop = f"127.0.0.1:{other.port}"
    assert "delivered to by" in preview("redirect", ALL, admin, next_hop=hop).effect
    perform("redirect", ALL, admin, next_hop=hop)
    usual = spool.take("eve@far.test")
    spool.work()
    assert [taken.recipients for taken in other.taken] == [(f"bob@{FAR}",)]
    assert not Entry.objects.filter(file_name=name).exists()
    assert Trace.objects.get(file_name=name).outcome == Outcome.DELIVERED
    assert spool.entry(usual).status == Status.WAITING


def test_a_redirection_can_be_taken_back(spool: Spool, admin: Actor) -> None:
    spool.peer.on["MAIL"] = ["451 4.3.0 not now", "250 ok"]
    spool.take()
    spool.work()
    perform("redirect", ALL, admin, next_hop=f"127.0.0.1:{free_port()}")
    spool.work()
    assert Entry.objects.get().status == Status.WAITING
    perform("redirect", ALL, admin, next_hop="usual")
    spool.work()
    assert not Entry.objects.exists()
    assert len(spool.peer.taken) == 1


def test_new_recipients_get_it_and_the_old_ones_are_recorded_as_removed(spool: Spool, admin: Actor) -> None:
    spool.peer.rcpt[f"bob@{FAR}"] = "451 4.2.1 not now"
    name = spool.take([f"bob@{FAR}", f"eve@{FAR}"])
    spool.work()
    perform("redirect", ALL, admin, to=f"zoe@{FAR}, {ANN}")
    entry = spool.entry(name)
    assert entry.recipients_total == 3
    spool.work()
    assert [taken.recipients for taken in spool.peer.taken] == [(f"eve@{FAR}",), (f"zoe@{FAR}",)]
    assert len(spool.mailbox()) == 1
    outcomes = {trace.recipient: trace.outcome for trace in Trace.objects.filter(file_name=name)}
    assert outcomes == {
        f"bob@{FAR}": Outcome.REMOVED,
        f"eve@{FAR}": Outcome.DELIVERED,
        f"zoe@{FAR}": Outcome.DELIVERED,
        ANN: Outcome.DELIVERED,
    }


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"to": "nobody"},
        {"to": "nobody@here.test"},
        {"next_hop": "a b"},
        {"next_hop": "host:99999"},
        {"next_hop": "http://x"},
        {"to": "bob@far.test", "next_hop": "mail.far.test"},
    ],
)
def test_a_redirection_to_nowhere_is_refused(spool: Spool, admin: Actor, parameters: dict[str, str]) -> None:
    spool.take()
    with pytest.raises(Refused):
        perform("redirect", ALL, admin, **parameters)
    assert not BulkJob.objects.exists()


def test_force_is_a_try_now_although_the_host_rests(spool: Spool, admin: Actor) -> None:
    dead = free_port()
    spool.settings(smtp_out_port=dead, dead_host_seconds=600)
    spool.take()
    spool.work()
    assert Entry.objects.get().status == Status.WAITING
    patient = spool.take(f"eve@{FAR}")
    spool.work()
    assert spool.entry(patient).last_error.startswith(WAITS_FOR_HOST)
    perform("force", SpoolFilter(file_name=patient), admin)
    spool.work()
    entry = spool.entry(patient)
    assert (entry.attempts, entry.priority) == (1, Priority.HIGH)
    assert not entry.last_error.startswith(WAITS_FOR_HOST)


def test_a_copy_goes_out_once_even_when_its_job_is_done_twice(spool: Spool, admin: Actor) -> None:
    name = spool.take()
    original = path_of(spool.entry(name).subspool, name).read_bytes()
    outcome = perform("resend", SpoolFilter(file_name=name), admin, to=f"eve@{FAR}")
    assert outcome.sentence == "1 copied"
    # As after a crash between the chunk and the job's cursor.
    BulkJob.objects.update(cursor=0, state=JobState.QUEUED, done=0)
    jobs.work(outcome.job.id, pace=False)
    assert Entry.objects.count() == 2
    spool.work()
    taken = sorted((taken.recipients[0], taken.content) for taken in spool.peer.taken)
    assert [recipient for recipient, _ in taken] == [f"bob@{FAR}", f"eve@{FAR}"]
    assert original.split(b"\r\n\r\n", 1)[1] in taken[1][1]


def test_what_was_undone_is_delivered_to_those_who_did_not_have_it(spool: Spool, admin: Actor) -> None:
    spool.peer.rcpt[f"bob@{FAR}"] = "451 4.2.1 not now"
    spool.take([f"bob@{FAR}", f"eve@{FAR}"])
    spool.work()
    event = perform("delete", ALL, admin).event
    spool.peer.rcpt.clear()
    spool.later(hours=1)
    spool.work()
    assert len(spool.peer.taken) == 1
    undo(admin, event_id=event.id)
    spool.work()
    assert [taken.recipients for taken in spool.peer.taken] == [(f"eve@{FAR}",), (f"bob@{FAR}",)]
    assert not Entry.objects.exists()
    assert sorted(Trace.objects.values_list("recipient", "outcome")) == [
        (f"bob@{FAR}", Outcome.DELIVERED),
        (f"eve@{FAR}", Outcome.DELIVERED),
    ]


def test_who_was_delivered_late_does_not_get_it_again_by_undo(spool: Spool, admin: Actor) -> None:
    spool.take([f"bob@{FAR}", f"eve@{FAR}"])
    [leased] = lease()
    # Its worker hangs until the lease is over; then the administrator deletes it.
    Entry.objects.update(due_at=timezone.now())
    event = perform("delete", ALL, admin).event
    bob = leased.recipients[0]
    late = DeliveryReport(leased, [RecipientResult(bob, Outcome.DELIVERED, "250 ok", "2.0.0", f"mx.{FAR}")])
    late.results.append(RecipientResult(leased.recipients[1], Outcome.PENDING, "451 later", "4.3.0"))
    outcomes.record("worker", [late], store.Writer(), current(), timezone.now())
    assert Trace.objects.get(recipient=bob.address).outcome == Outcome.DELIVERED
    undo(admin, event_id=event.id)
    assert Recipient.objects.get(status="pending").address == f"eve@{FAR}"
    assert Entry.objects.get().recipients_done == 1
    spool.work()
    assert [taken.recipients for taken in spool.peer.taken] == [(f"eve@{FAR}",)]


def lease() -> list[LeasedEntry]:
    with statements.write_transaction():
        return leases.take("worker", timezone.now(), 10, straight=True, no_delay=True)
