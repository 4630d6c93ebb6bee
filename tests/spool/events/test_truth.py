"""A line is written after the fact, once; what comes to nothing has none. In the tests' own process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from spool.actions import Actor, perform
from spool.actions.jobs import JobLost
from spool.actions.queue import release_expired
from spool.events import mail_log
from spool.events.line import Value
from spool.events.mail_log import Event
from spool.flow import intake, outcomes
from spool.models import Entry
from spool.models.recipient import Outcome
from spool.places import trash
from spool.rows import statements
from tests.spool.test_late_results import BOB, EVE, record, take
from tests.support.messages import a_submission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

Events = list[dict[str, Value]]


def _of(events: Events, name: str) -> Events:
    return [event for event in events if event["event"] == name]


def test_a_transaction_that_comes_to_nothing_leaves_no_line(events: Events) -> None:
    with pytest.raises(JobLost), statements.write_transaction():
        mail_log.after_commit([Event.of("deleted", "0abc")])
        raise JobLost
    assert events == []


def test_a_message_that_could_not_be_committed_is_not_accepted(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise OperationalError("no")

    monkeypatch.setattr(intake, "insert_rows", fail)
    with pytest.raises(intake.IntakeError):
        intake.accept([a_submission()])
    assert events == []
    monkeypatch.undo()
    [name] = intake.accept([a_submission()])
    assert [event["id"] for event in _of(events, "accepted")] == [name.removesuffix(".eml")]


def test_results_that_the_database_did_not_take_are_logged_when_it_does(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.accept([a_submission(to=[BOB, EVE])])
    entry = take("worker")

    def fail(*arguments: object) -> None:
        raise OperationalError("no")

    with monkeypatch.context() as patch:
        patch.setattr(outcomes, "insert_traces", fail)
        with pytest.raises(OperationalError):
            record("worker", entry, bob=Outcome.DELIVERED, eve=Outcome.DELIVERED)
    assert _of(events, "attempt") == []
    record("worker", entry, bob=Outcome.DELIVERED, eve=Outcome.DELIVERED)
    assert [event["to"] for event in _of(events, "attempt")] == [BOB, EVE]
    assert len(_of(events, "ended")) == 1


def test_a_delivery_that_is_reported_late_has_a_line_once(events: Events) -> None:
    intake.accept([a_submission(to=[BOB, EVE])])
    slow, next_holder = take("slow"), take("next")
    record("slow", slow, bob=Outcome.DELIVERED, eve=Outcome.PENDING)
    record("next", next_holder, bob=Outcome.DELIVERED, eve=Outcome.DELIVERED)
    delivered = [event["to"] for event in _of(events, "attempt") if event["status"] == "delivered"]
    assert sorted(map(str, delivered)) == [BOB, EVE]
    assert len(_of(events, "ended")) == 1


def test_what_time_does_is_logged_as_mailspools_own(
    events: Events, admin: Actor, spooled: Callable[..., Entry]
) -> None:
    entry = spooled()
    queue_id = entry.file_name.removesuffix(".eml")
    until = (timezone.now() + timedelta(hours=1)).isoformat()
    perform("hold", [entry.id], admin, until=until)
    assert release_expired(timezone.now() + timedelta(hours=2)) == 1
    [released] = _of(events, "released")
    assert (released["id"], released["by"]) == (queue_id, "mailspool")
    perform("delete", [entry.id], admin)
    assert trash.purge(timezone.now() + timedelta(days=8), 7) == 1
    [removed] = _of(events, "removed")
    assert (removed["id"], removed["by"]) == (queue_id, "mailspool")
    assert "undone" in str(removed["why"])
